import socket
import subprocess
import sys

from ops.ports import LOOPBACK, choose_port, free_port, is_free


def test_a_free_port_is_taken_as_preferred() -> None:
    port = free_port()

    assert choose_port(port) == port


def test_a_port_with_a_listener_is_passed_over() -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        taken = listener.getsockname()[1]

        assert not is_free(taken)
        assert choose_port(taken) != taken


def test_a_port_with_a_listener_on_all_interfaces_is_passed_over() -> None:
    with socket.create_server(("", 0)) as listener:
        assert not is_free(listener.getsockname()[1])


def test_a_port_that_is_bound_but_not_yet_listened_on_is_passed_over() -> None:
    with socket.socket() as early:
        early.bind((LOOPBACK, 0))

        assert not is_free(early.getsockname()[1])


def test_a_port_that_another_process_has_chosen_is_passed_over_until_that_ends() -> None:
    port = free_port()
    choose = f"from ops.ports import choose_port; import sys; print(choose_port({port}), flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", choose]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert int(other.stdout.readline()) == port
        assert is_free(port)
        assert choose_port(port) != port
        other.communicate()

    assert choose_port(port) == port
