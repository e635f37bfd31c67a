"""What etcd and the API server are started with."""

from pathlib import Path

Pair = tuple[Path, Path]


def etcd(folder: Path, ports: tuple[int, ...]) -> list[str]:
    """Return etcd's arguments.

    Args:
        folder: for its data.
        ports: for clients and for peers come first.
    """
    clients, peers = (f"http://127.0.0.1:{port}" for port in ports[:2])
    return [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        # Nothing here outlives the test.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def api_server(folder: Path, ports: tuple[int, ...], authorities: Pair, served: Pair, front: Pair) -> list[str]:
    """Return the API server's arguments.

    Args:
        folder: with the key of the accounts.
        ports: etcd's for clients is the first, its own the third.
        authorities: certificates that clients, and that the front proxy, are known by.
        served: certificate and key that it serves with.
        front: certificate and key by which the servers behind it know it.
    """
    return [
        f"--etcd-servers=http://127.0.0.1:{ports[0]}",
        "--bind-address=127.0.0.1",
        f"--secure-port={ports[2]}",
        # The address of no Service leads here: there are no pods that would ask.
        "--endpoint-reconciler-type=none",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--authorization-mode=RBAC",
        "--allow-privileged=true",
        f"--tls-cert-file={served[0]}",
        f"--tls-private-key-file={served[1]}",
        f"--client-ca-file={authorities[0]}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'accounts.key'}",
        f"--service-account-signing-key-file={folder / 'accounts.key'}",
        # For the servers behind this one, such as KEDA's of metrics.
        f"--requestheader-client-ca-file={authorities[1]}",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={front[0]}",
        f"--proxy-client-key-file={front[1]}",
    ]
