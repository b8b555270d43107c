"""The peer: llama.cpp, through llama-cpp-python, in an environment of its own (build/peer-venv)."""
import os
import pathlib
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
FOVEA = REPOSITORY / "build/release/fovea"
ENVIRONMENT = REPOSITORY / "build/peer-venv"
REQUIREMENTS = REPOSITORY / "bench/requirements-peer.txt"


def stop(message):
    sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {message}")


def peer_python():
    """The Python of the peer's environment; makes it first (about six minutes on two cores)."""
    python, installed = ENVIRONMENT / "bin/python", ENVIRONMENT / "installed.txt"
    if installed.exists() and installed.read_text() == REQUIREMENTS.read_text():
        return str(python)
    print("building llama.cpp for this machine, about six minutes on two cores ...", file=sys.stderr, flush=True)
    log = ENVIRONMENT.parent / "peer-venv.log"
    log.parent.mkdir(exist_ok=True)
    install = [python, "-m", "pip", "install", "--quiet", "--no-binary", "llama-cpp-python", "-r", REQUIREMENTS]
    with open(log, "w") as output:
        for command in [sys.executable, "-m", "venv", ENVIRONMENT], install:
            settings = {**os.environ, "CMAKE_ARGS": "-DGGML_NATIVE=ON"}
            if subprocess.run(command, env=settings, stdout=output, stderr=output).returncode != 0:
                stop(f"cannot install llama-cpp-python, see {log}; by hand: "
                     f"CMAKE_ARGS=-DGGML_NATIVE=ON {' '.join(map(str, install))}")
    installed.write_text(REQUIREMENTS.read_text())
    return str(python)


def model_path(name_or_path):
    """A path stays as it is; a name is asked of the catalogue."""
    if os.path.exists(name_or_path):
        return name_or_path
    if not FOVEA.exists():
        stop(f"{FOVEA} is missing; run: make build")
    answer = subprocess.run([FOVEA, "models", "path", name_or_path], capture_output=True, text=True)
    if answer.returncode != 0:
        stop(answer.stderr.strip())
    return answer.stdout.strip()


def add_peer_option(parser):
    parser.add_argument("--peer-python", default=os.environ.get("PEER_PYTHON"), metavar="PATH",
                        help="a Python that has llama_cpp, instead of building one (also: environment PEER_PYTHON)")
