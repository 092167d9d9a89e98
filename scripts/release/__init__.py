"""What a release consists of: archives that install without a network, their images, and changes of the values."""
