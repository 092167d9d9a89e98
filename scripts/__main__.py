"""``python -m scripts`` is ``vllm-charts``."""

from scripts.cli import main

main()
