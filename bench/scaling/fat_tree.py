"""Networks for SimGrid: fat trees, as files that smpirun reads."""
import os

# A message to oneself is how a simulated rank computes (host_simulated.c), at this rate.
SELF_RATE = 1e6
# Of a link carries payload: headers of Ethernet, IP and TCP take the rest at 1,500 bytes a packet.
PAYLOAD = 0.95
# SimGrid charges every flow's way back for its acknowledgements, so that messages take so many times
# as long where a link is busy in both directions.
BOTH_WAYS = 1.05

# Switches of 32 hosts, and as many above them as it takes to block nobody.
TREE = "2;32,32;1,32;1,1"
SWITCH = "1;4;1;1"


def write(folder, ranks, gbits, latency="5us", shape=TREE, acknowledged=True):
    """Writes the two files, and returns smpirun's arguments. `latency` is of each link; there are
    two of them to a host at the same switch, and four to any other. `acknowledged`: BOTH_WAYS is
    charged."""
    hosts = 4 if shape == SWITCH else 1024
    platform = os.path.join(folder, f"network-{gbits}-{latency}-{hosts}.xml")
    with open(platform, "w", encoding="ascii") as file:
        file.write(f"""<?xml version="1.0"?>
<!DOCTYPE platform SYSTEM "https://simgrid.org/simgrid.dtd">
<platform version="4.1">
  <cluster id="tree" prefix="host" suffix="" radical="0-{hosts - 1}" speed="1Gf"
           bw="{gbits / 8 * 1e9:.0f}Bps" lat="{latency}" topology="FAT_TREE"
           topo_parameters="{shape}" sharing_policy="SPLITDUPLEX"
           loopback_bw="{SELF_RATE / PAYLOAD:.3f}Bps" loopback_lat="0"/>
</platform>
""")
    names = os.path.join(folder, f"hosts-{ranks}.txt")
    with open(names, "w", encoding="ascii") as file:
        file.write("".join(f"host{number}\n" for number in range(ranks)))
    return ["-np", str(ranks), "-platform", platform, "-hostfile", names,
            f"--cfg=smpi/bw-factor:0:{PAYLOAD}", "--cfg=smpi/lat-factor:0:1",
            f"--cfg=network/crosstraffic:{int(acknowledged)}"]
