"""Sockets of every family, and the host's own listeners: TCP, UDP, a Unix socket, an abstract one."""

from testing.attacks.attack import Attack, kernel, trying

NETWORK: tuple[Attack, ...] = (
    trying(
        "network",
        "sockets of every family",
        """
        import socket
        def f(x):
            return tried(*[
                (f"made a socket of family {family}, kind {kind}", lambda family=family, kind=kind:
                 socket.socket(family, kind).close())
                for family in range(1, 46) for kind in (1, 2, 3, 5)
            ])
        """,
    ),
    trying(
        "network",
        "netlink, raw packets, vsock and kernel crypto",
        """
        import socket
        def f(x):
            return tried(*[
                (name, lambda arguments=arguments: socket.socket(*arguments).close()) for name, arguments in (
                    ("NETLINK_ROUTE", (16, 3, 0)), ("NETLINK_AUDIT", (16, 3, 9)), ("NETLINK_KOBJECT", (16, 3, 15)),
                    ("AF_PACKET", (17, 3, 0x0300)), ("ICMP", (2, 3, 1)), ("AF_VSOCK", (40, 1, 0)),
                    ("AF_ALG", (38, 5, 0)), ("AF_BLUETOOTH", (31, 3, 1)), ("AF_XDP", (44, 3, 0)),
                    ("MPTCP", (2, 1, 262)),
                )
            ])
        """,
    ),
    trying(
        "network",
        "the host's TCP and UDP listeners",
        """
        import socket
        def send(address):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender: sender.sendto(b"hostile", address)
        def f(x):
            return tried(
                ("connected by TCP", lambda: socket.create_connection(("127.0.0.1", x["port"]), 1).close()),
                ("connected to localhost", lambda: socket.create_connection(("localhost", x["port"]), 1).close()),
                ("sent by UDP", lambda: send(("127.0.0.1", x["port"]))),
                ("listened", lambda: socket.create_server(("127.0.0.1", 0)).close()),
                ("looked a name up", lambda: socket.getaddrinfo("example.org", 80)),
                ("listed the interfaces", lambda: bool(socket.if_nameindex())),
            )
        """,
    ),
    trying(
        "network",
        "the host's Unix sockets, abstract ones too",
        """
        import socket
        def connect(address):
            with socket.socket(socket.AF_UNIX) as client: client.connect(address)
        def listen(address):
            with socket.socket(socket.AF_UNIX) as server: server.bind(address)
        def f(x):
            return tried(
                ("connected to a Unix socket", lambda: connect(x["socket"])),
                ("connected to an abstract socket", lambda: connect("\\0" + x["abstract"])),
                ("connected to the system bus", lambda: connect("/run/dbus/system_bus_socket")),
                ("connected to docker", lambda: connect("/var/run/docker.sock")),
                ("bound an abstract socket", lambda: listen("\\0" + x["marker"] + "-b")),
                ("bound a Unix socket", lambda: listen(x["folder"] + "/" + x["marker"])),
            )
        """,
    ),
    kernel(
        "network",
        "sockets in C, and what is done with them",
        """
        import struct
        def connect(x):
            fd = call(41, 198, 2, 1, 0)
            address = struct.pack("=H", 2) + struct.pack(">H", x["port"]) + bytes([127, 0, 0, 1]) + bytes(8)
            call(42, 203, fd, ctypes.create_string_buffer(address, 16), 16)
        def f(x):
            pair = ctypes.create_string_buffer(8)
            address = ctypes.create_string_buffer(struct.pack("=H", 1) + b"\\0" + x["abstract"].encode(), 110)
            size = 3 + len(x["abstract"])
            return tried(
                ("socket and connect", lambda: connect(x)),
                ("connect the channel elsewhere", lambda: call(42, 203, 3, address, size)),
                ("sendto by the channel", lambda: call(44, 206, 3, b"hostile", 7, 0, address, size)),
                ("socketpair", lambda: call(53, 199, 1, 1, 0, pair)),
                ("bind", lambda: call(49, 200, 3, address, size)),
                ("listen", lambda: call(50, 201, 3, 1)),
                ("setsockopt", lambda: call(54, 208, 3, 1, 2, pair, 4)),
            )
        """,
    ),
)
