"""The parts of the local cluster that need no cluster."""

import json
import os
import ssl
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from scripts.cluster import Settings, cgroups, components, configs, external, host, libraries, model, pki, processes
from scripts.cluster.oci import Image, write_image
from scripts.console import UserError
from scripts.paths import CACHE


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A cluster whose folder is the test's own."""
    monkeypatch.setattr("scripts.cluster.settings.CACHE", tmp_path)
    return Settings(name="unit")


@pytest.mark.parametrize("name", ["", "Demo", "1st", "a" * 21, "a_b", "../up"])
def test_a_name_that_fits_no_file_or_interface_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="cannot be the name of a cluster"):
        Settings(name=name)


def test_two_clusters_share_nothing_that_the_host_sees() -> None:
    one, two = Settings(name="one"), Settings(name="two")
    for attribute in ("state", "interface", "cgroup", "node_ip", "host_ip", "kubeconfig"):
        assert getattr(one, attribute) != getattr(two, attribute)


def test_the_name_of_the_interface_fits_the_kernel() -> None:
    assert all(len(Settings(name=f"c{number}").interface) <= 15 for number in range(200))


def test_both_ends_of_the_link_are_in_one_small_network() -> None:
    settings = Settings(name="demo")
    host_end, node_end = (int(address.rpartition(".")[2]) for address in (settings.host_ip, settings.node_ip))
    assert host_end % 4 == 1
    assert node_end == host_end + 1


def test_the_api_server_certificate_names_every_address_it_is_reached_at(settings: Settings) -> None:
    pki.write_pki(settings)
    certificate = x509.load_pem_x509_certificate((settings.pki / "apiserver.crt").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "kubernetes.default.svc.cluster.local" in names.get_values_for_type(x509.DNSName)
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert {settings.node_ip, "10.96.0.1", "127.0.0.1"} <= addresses


def test_the_kubeconfig_holds_a_key_that_fits_its_certificate(settings: Settings, tmp_path: Path) -> None:
    pki.write_pki(settings)
    ssl.create_default_context().load_cert_chain(settings.pki / "admin.crt", settings.pki / "admin.key")
    config = yaml.safe_load(settings.kubeconfig.read_text())
    assert config["clusters"][0]["cluster"]["server"] == settings.server
    assert settings.kubeconfig.is_relative_to(tmp_path)


def test_keys_are_readable_by_their_owner_only(settings: Settings) -> None:
    pki.write_pki(settings)
    assert settings.pki.stat().st_mode & 0o077 == 0
    assert settings.kubeconfig.stat().st_mode & 0o077 == 0


def test_the_kubelet_confines_pods_to_the_group_of_its_cluster(settings: Settings) -> None:
    assert configs.kubelet(settings)["cgroupRoot"] == f"/{settings.cgroup}"


def test_paths_of_the_plan_are_those_inside_the_namespaces(settings: Settings) -> None:
    assert str(settings.inside(settings.pki)).startswith("/var/lib/vllm-charts/cluster/unit/")


def test_a_plan_is_json_with_every_program_once() -> None:
    plan = json.loads(components.as_text({"components": [{"name": "etcd"}]}))
    assert plan == {"components": [{"name": "etcd"}]}


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """A small image of a file, a folder, a text and a link."""
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "file").write_text("content")
    files: dict[str, Path | str] = {"/bin/program": program, "/data": folder, "/etc/motd": "hello"}
    return Image("localhost/small:1", ("/bin/program",), files, links={"/sbin": "bin"}, user="1000")


def members(archive: Path) -> dict[str, bytes]:
    """Name and content of every file of an archive."""
    with tarfile.open(archive) as tar:
        return {name: content.read() for name in tar.getnames() if (content := tar.extractfile(name))}


def test_every_part_of_an_image_is_found_by_its_digest(image: Image, tmp_path: Path) -> None:
    write_image(image, tmp_path / "small.tar")
    parts = members(tmp_path / "small.tar")
    (entry,) = json.loads(parts["index.json"])["manifests"]
    manifest = json.loads(parts[f"blobs/{entry['digest'].replace(':', '/')}"])
    config = json.loads(parts[f"blobs/{manifest['config']['digest'].replace(':', '/')}"])
    assert entry["annotations"]["io.containerd.image.name"] == "localhost/small:1"
    assert config["config"]["Entrypoint"] == ["/bin/program"]
    assert config["config"]["User"] == "1000"
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]


def test_an_image_holds_files_folders_texts_and_links(image: Image, tmp_path: Path) -> None:
    write_image(image, tmp_path / "small.tar")
    parts = members(tmp_path / "small.tar")
    layer = max(parts.values(), key=len)
    (tmp_path / "layer.tar").write_bytes(layer)
    with tarfile.open(tmp_path / "layer.tar") as tar:
        kinds = {member.name: (member.mode, member.type) for member in tar.getmembers()}
    assert kinds["bin/program"] == (0o755, tarfile.REGTYPE)
    assert kinds["data/inner/file"] == (0o644, tarfile.REGTYPE)
    assert kinds["sbin"][1] == tarfile.SYMTYPE
    assert kinds["tmp"] == (0o1777, tarfile.DIRTYPE)


def test_the_same_image_is_the_same_archive(image: Image, tmp_path: Path) -> None:
    write_image(image, tmp_path / "one.tar")
    time.sleep(0.01)
    os.utime(tmp_path / "program")
    write_image(image, tmp_path / "two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_an_image_of_a_missing_file_leaves_nothing(tmp_path: Path) -> None:
    broken = Image("localhost/broken:1", ("/x",), {"/x": tmp_path / "missing"})
    with pytest.raises(FileNotFoundError):
        write_image(broken, tmp_path / "out" / "broken.tar")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_libraries_of_a_program_include_the_loader() -> None:
    found = libraries.shared_libraries([Path("/bin/sh").resolve()])
    assert any("libc.so" in path for path in found)
    assert any("ld-linux" in path for path in found)


def test_a_program_that_is_static_or_no_program_needs_nothing(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    assert libraries.shared_libraries([tmp_path / "text"]) == {}


def test_the_tiny_model_is_the_same_every_time(tmp_path: Path) -> None:
    model.make(tmp_path / "one")
    model.make(tmp_path / "two")
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(("folder", "snapshotter"), [("/cache", "overlayfs"), ("/data/cache", "native")])
def test_only_a_folder_on_an_overlay_gets_copies_instead_of_overlays(folder: str, snapshotter: str) -> None:
    mounts = "/dev/vda / ext4 rw 0 0\noverlay /data overlay rw 0 0\n"
    assert configs.snapshotter(Path(folder), mounts) == snapshotter


def test_waiting_returns_what_the_condition_gave() -> None:
    answers = iter([None, 0, "there"])
    assert processes.wait_until("it is there", lambda: next(answers), seconds=1, pause=0.001) == "there"


def test_waiting_in_vain_names_what_was_waited_for() -> None:
    with pytest.raises(UserError, match="the sky falls"):
        processes.wait_until("the sky falls", lambda: False, seconds=0.01, pause=0.001)


def test_a_cluster_that_does_not_run_is_not_found() -> None:
    assert processes.find_machine(Settings(name="never-started")) is None


def test_a_process_that_only_names_the_plan_is_not_taken_for_the_machine(settings: Settings) -> None:
    impostor = subprocess.Popen(["sh", "-c", "sleep 30; :", "sh", str(settings.plan)])
    try:
        assert processes.find_machine(settings) is None
    finally:
        impostor.kill()
        impostor.wait()


def test_without_a_kubeconfig_the_cluster_is_the_local_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("VLLM_CHARTS_KUBECONFIG", raising=False)
    assert external.external_kubeconfig() is None


def test_a_given_kubeconfig_names_another_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("")
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    monkeypatch.setenv("VLLM_CHARTS_KUBECONFIG", str(tmp_path / "config"))
    assert external.external_kubeconfig() == tmp_path / "config"


def test_the_kubeconfig_of_a_local_cluster_is_not_another_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLLM_CHARTS_KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(CACHE / "cluster" / "demo" / "kubeconfig"))
    assert external.external_kubeconfig() is None


def test_a_kubeconfig_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_CHARTS_KUBECONFIG", "/nowhere/config")
    with pytest.raises(UserError, match="no such file"):
        external.external_kubeconfig()


def test_another_system_is_told_the_way_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    with pytest.raises(UserError, match="runs on Linux") as refused:
        host.require_host()
    assert "VLLM_CHARTS_KUBECONFIG" in refused.value.fix


def test_without_root_the_way_round_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UserError, match="needs root") as refused:
        host.require_host()
    assert "VLLM_CHARTS_KUBECONFIG" in refused.value.fix


def test_without_apt_the_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(UserError, match="containerd"):
        host.install(["containerd"])


def test_what_the_kernel_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "kernel_features", lambda: {"nftables": False, "overlayfs": True})
    with pytest.raises(UserError, match="lacks: nftables") as refused:
        host.require_kernel()
    assert "modprobe" in refused.value.fix


def test_the_group_of_a_cluster_is_made_in_every_tree_and_removed(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroups, "ROOT", tmp_path / "groups")
    for tree in ("cpu", "memory"):
        (tmp_path / "groups" / tree).mkdir(parents=True)
    cgroups.make(settings)
    (tmp_path / "groups" / "cpu" / settings.cgroup / "kubepods" / "pod1").mkdir(parents=True)
    assert len(cgroups.remains(settings)) == 4
    cgroups.remove(settings)
    assert cgroups.remains(settings) == []


def test_in_the_one_tree_of_version_2_the_controllers_are_handed_down(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroups, "ROOT", tmp_path / "groups")
    (tmp_path / "groups").mkdir()
    (tmp_path / "groups" / "cgroup.controllers").write_text("cpu memory\n")
    cgroups.make(settings)
    assert (tmp_path / "groups" / settings.cgroup / "cgroup.subtree_control").read_text() == "+cpu +memory"


@pytest.mark.parametrize(("file", "weight"), [("cpu/{}/cpu.shares", "8192"), ("{}/cpu.weight", "800")])
def test_pods_weigh_more_than_a_program_beside_them(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, weight: str
) -> None:
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    path = tmp_path / file.format(settings.cgroup)
    path.parent.mkdir(parents=True)
    path.write_text("of the kernel")
    cgroups.make(settings)
    assert path.read_text() == weight


def test_control_groups_that_may_not_be_made_are_explained(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu").write_text("not a folder")
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [tmp_path / "cpu"])
    with pytest.raises(UserError, match="could not be made") as refused:
        cgroups.make(settings)
    assert "VLLM_CHARTS_KUBECONFIG" in refused.value.fix


def test_a_library_that_is_missing_is_installed_by_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(host, "install", lambda packages, **_: asked.extend(packages))
    host.require_libraries({"libc.so.6": "libc6", "libmissing.so.9": "libmissing9"})
    assert asked == ["libmissing9"]
