import socket

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
