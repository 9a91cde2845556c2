"""Runtimes as on a CPU that has AVX2 and no AVX-512 or VNNI, where this one has them: in copies of their libraries each `cpuid` is a
`ud2`, which cpuid.c answers. Only they are told so: the C library still copies by what it finds. Linux on x86-64 with binutils
and a C compiler."""
import importlib.util, os, re, shutil, subprocess
import workload as wl

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGES = {"onnxruntime": "onnxruntime", "litert": "ai_edge_litert"}


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, errors="replace").stdout


def hide(path):
    """Replaces all `cpuid` instructions of an ELF file; how many there were."""
    text = output("objdump", "-d", "--no-show-raw-insn", path)
    segments = re.findall(r"LOAD +0x(\w+) 0x(\w+) 0x\w+ 0x(\w+)", output("readelf", "-lW", path))
    segments = [tuple(int(x, 16) for x in segment) for segment in segments]
    with open(path, "rb") as file:
        data = bytearray(file.read())
    count = 0
    for address in re.findall(r"^ *(\w+):\s+cpuid *$", text, re.M):
        address = int(address, 16)
        at = next(address - begin + offset for offset, begin, size in segments if begin <= address < begin + size)
        assert data[at : at + 2] == b"\x0f\xa2", f"{path}: no cpuid at {address:#x}"
        data[at : at + 2] = b"\x0f\x0b"
        count += 1
    if count:
        with open(path, "wb") as file:
            file.write(data)
    return count


def prepare(commands):
    """The commands with copies in place of their programs and libraries, and the environment that they need."""
    folder = os.path.join(wl.data_dir(), "avx2")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    library = os.path.join(folder, "cpuid.so")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", os.path.join(HERE, "cpuid.c"), "-o", library], check=True)
    hidden = {}
    for name, command in commands.items():
        if name in PACKAGES:
            of = importlib.util.find_spec(PACKAGES[name]).submodule_search_locations[0]
            copy = shutil.copytree(of, os.path.join(folder, PACKAGES[name]))
            files = [os.path.join(top, file) for top, _, files in os.walk(copy) for file in files if ".so" in file]
            hidden[name] = command
        else:
            files = [shutil.copy(command[0], folder)]
            hidden[name] = [files[0], *command[1:]]
        if not sum(map(hide, files)):
            raise SystemExit(f"{name}: no cpuid instruction was found in {files}, so it can't be told what the CPU has")
    return hidden, os.environ | {"LD_PRELOAD": library, "PYTHONPATH": folder}
