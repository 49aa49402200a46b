"""A clamd with nothing but given databases, asked over its Unix socket. A module of
the scripts beside it."""
import os
import socket
import struct
import subprocess
import time

CONFIG = """LocalSocket {socket}
DatabaseDirectory {databases}
TemporaryDirectory {folder}
PidFile {folder}/pid
Foreground yes
DisableCache yes
StreamMaxLength 100M
SelfCheck 86400
"""


def cpu_of(pid):
    """The CPU seconds of a process so far."""
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(pid):
    """The memory of a process in MB."""
    with open("/proc/%d/status" % pid) as file:
        return int(next(line for line in file if line.startswith("VmRSS")).split()[1]) / 1024


class Clamd:
    """Starts one, and waits until it answers; its files stand in `folder`."""

    def __init__(self, databases, folder, options, patience=600):
        self.socket = os.path.join(folder, "socket")
        self.patience = patience
        config = os.path.join(folder, "clamd.conf")
        with open(config, "w") as file:
            file.write(CONFIG.format(socket=self.socket, databases=databases, folder=folder))
            file.writelines("%s %s\n" % option for option in options.items())
        begin = time.time()
        self.process = subprocess.Popen(
            ["clamd", "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while not self.answers():
            if self.process.poll() is not None or time.time() > begin + patience:
                self.end()
                raise SystemExit("clamd did not start: %s" % self.process.returncode)
            time.sleep(0.05)
        self.load = time.time() - begin
        self.memory = memory_of(self.process.pid)

    def ask(self, *pieces):
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(self.patience)
            link.connect(self.socket)
            for piece in pieces:
                link.sendall(piece)
            answer = b""
            while part := link.recv(65536):
                answer += part
        return answer

    def answers(self):
        try:
            return self.ask(b"zPING\0").startswith(b"PONG")
        except OSError:
            return False

    def scan(self, message):
        """Its answer, a line for each name."""
        return self.ask(b"zINSTREAM\0", struct.pack(">I", len(message)), message, b"\0" * 4)

    def end(self):
        self.process.terminate()
        self.process.wait()
