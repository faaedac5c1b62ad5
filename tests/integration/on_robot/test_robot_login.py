"""Logging in on the robot: keys, aliases, passwords, addresses and options that do not fit."""

import asyncio
import subprocess
import threading

import asyncssh
import pytest

from reachy_kit.deploy.robot_shell import open_shell
from reachy_kit.deploy.ssh_login import LoginPassword, parse_ssh_address
from reachy_kit.runtime.errors import WrongUseError

from .robots_computer import NoPerson


def test_a_robot_that_is_not_known_is_shown_and_not_trusted_by_itself(robots_computer, desktop, kit, tmp_path):
    known = tmp_path / "desktop/.ssh/known_hosts"
    known.unlink()
    refused = kit.run("record", "--on-robot", robots_computer.host, "--out", "data", before=desktop)
    refused.says(4, "the key of", "was not confirmed", "ssh -p")
    key = subprocess.run(
        ["ssh-keygen", "-lf", robots_computer.folder / "host"], check=True, capture_output=True, text=True
    )
    assert key.stdout.split()[1] in refused.err  # the fingerprint that the robot's owner can read there
    assert not known.exists()


def test_a_robot_with_another_key_than_before_is_refused(robots_computer, desktop, kit, tmp_path):
    known = tmp_path / "desktop/.ssh/known_hosts"
    host, kind, _ = known.read_text().split()
    _, other, *_ = (tmp_path / "robot/desktop.pub").read_text().split()
    known.write_text(f"{host} {kind} {other}\n")
    refused = kit.run("record", "--on-robot", robots_computer.host, "--out", "data", before=desktop)
    refused.says(4, "has changed since the last time", f"ssh-keygen -R '[127.0.0.1]:{robots_computer.port}'")


class ConfirmingPerson(NoPerson):
    """Confirms each key."""

    asked = 0

    def accept_key(self, host, fingerprint):
        self.asked += 1
        return fingerprint.startswith("SHA256:")


def test_a_person_confirms_the_key_once(robots_computer, desktop, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "desktop"))
    (tmp_path / "desktop/.ssh/known_hosts").unlink()
    person, address = ConfirmingPerson(), parse_ssh_address(robots_computer.host)
    for _ in range(2):
        with open_shell(address, person) as shell:
            assert shell.run("echo", "it's here").out == "it's here\n"
    assert person.asked == 1


def test_an_alias_of_the_configuration_is_confirmed_once_and_keeps_the_other_keys(
    robots_computer, desktop, monkeypatch, tmp_path
):
    monkeypatch.setenv("HOME", str(tmp_path / "desktop"))
    ssh = tmp_path / "desktop/.ssh"
    other = f"mini.example {' '.join((robots_computer.folder / 'desktop.pub').read_text().split()[:2])}"
    place = f"HostName 127.0.0.1\nPort {robots_computer.port}\n"
    for names, more in (("mini", ""), ("reachy", "HostKeyAlias mini-of-the-lab\n")):
        (ssh / "known_hosts").write_text(other)  # without the end of its line
        (ssh / "config").write_text(f"Host {names}\n{place}{more}")
        person = ConfirmingPerson()
        for _ in range(2):
            with open_shell(parse_ssh_address(names), person) as shell:
                assert shell.run("echo", "here").out == "here\n"
        assert person.asked == 1
        kept, added = (ssh / "known_hosts").read_text().splitlines()
        assert kept == other
        assert added.startswith("mini-of-the-lab ssh-" if more else f"[127.0.0.1]:{robots_computer.port} ssh-")


def test_a_password_is_asked_for_in_the_main_thread_and_once_for_a_command(desktop, monkeypatch, tmp_path):
    threads = []

    class Person(NoPerson):
        def password(self, login):
            threads.append(threading.current_thread())
            return "root" if len(threads) == 2 else "wrong"

    class Server(asyncssh.SSHServer):
        def validate_password(self, username, password):
            return password == "root"

        def password_auth_supported(self):
            return True

    monkeypatch.setenv("HOME", str(tmp_path / "desktop"))
    person, password, loop = Person(), LoginPassword(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen():
        key = asyncssh.generate_private_key("ssh-ed25519")
        server = await asyncssh.listen("127.0.0.1", 0, server_factory=Server, server_host_keys=[key])
        return server, key.export_public_key().decode()

    server, key = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
    port = server.get_port()
    (tmp_path / "desktop/.ssh/known_hosts").write_text(f"[127.0.0.1]:{port} {key}")
    for _ in range(2):
        with open_shell(parse_ssh_address(f"pollen@127.0.0.1:{port}"), person, password):
            pass
    loop.call_soon_threadsafe(server.close)  # not from here: the loop closes a server of its own when a client leaves
    loop.call_soon_threadsafe(loop.stop)
    assert threads == [threading.main_thread()] * 2  # a wrong one, the right one, and none after that
    assert "root" not in repr(password)


def test_a_login_that_is_refused_says_how_to_install_a_key(robots_computer, desktop, kit, tmp_path):
    (tmp_path / "desktop/.ssh/id_ed25519").unlink()
    refused = kit.run("record", "--on-robot", robots_computer.host, "--out", "data", before=desktop)
    refused.says(3, "refuses the login", "ssh-copy-id")


@pytest.mark.parametrize("host", ["@robot", "robot:ssh", "robot:0", "", "-oProxyCommand=x"])
def test_an_address_that_is_not_one_is_wrong_use(host):
    with pytest.raises(WrongUseError, match="--on-robot"):
        parse_ssh_address(host)


@pytest.mark.parametrize(
    "options, words",
    [
        (("--perception", "geometry"), "--perception does not work with --on-robot"),
        (("--microphone", "0"), "--microphone does not work with --on-robot"),
        (("--robot", "reachy-mini.example"), "--robot reachy-mini.example does not work with --on-robot"),
    ],
)
def test_an_option_that_does_not_work_there_is_wrong_use(kit, options, words):
    kit.run("record", "--on-robot", "127.0.0.1:1", *options, "--out", "data").says(2, words)
