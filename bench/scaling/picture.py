"""The picture of docs/scaling.md: efficiency over ranks, a panel a network."""
import math

WIDTH, HEIGHT, LEFT, TOP = 1000, 430, 60, 50
PANEL_WIDTH, PANEL_HEIGHT, GAP = 260, 270, 50
HIGHEST = 1.1  # efficiency
COLOUR = {1: "#1a6faf", 10: "#c44e1c"}
SHAPES = {  # of what is not joined by a line; around a middle (0, 0)
    "uneven": '<path d="M-4.5 -4.5L4.5 4.5M-4.5 4.5L4.5 -4.5"/>',
    "ring": '<circle r="7"/>',
    "lr": '<rect x="-6" y="-6" width="12" height="12"/>',
    "ompi": '<path d="M0 -8L8 6L-8 6Z"/>',
}
WORDS = (("uneven", 0, "Convoy on 3, 12 and 24 ranks"), ("ring", 240, "a ring"),
         ("lr", 340, "SimGrid's ring (lr)"), ("ompi", 520, "SimGrid's, as Open MPI chooses (ompi)"))
LINES = (("Convoy, computing as measured", COLOUR[1], "none"),
         ("Convoy, computing ten times faster", COLOUR[10], "none"),
         ("what wire time and overlap allow", "#555", "4 3"))


def place(x0, all_ranks, ranks, efficiency):
    first, last = math.log2(all_ranks[0]), math.log2(all_ranks[-1])
    return (x0 + (math.log2(ranks) - first) / (last - first) * PANEL_WIDTH,
            TOP + (1 - efficiency / HIGHEST) * PANEL_HEIGHT)


def text(x, y, size, words, anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{words}</text>'


def line(points, colour, dash):
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-dasharray="{dash}" '
            'stroke-width="1.8"/>')


def mark(x, y, colour, shape):
    return (f'<g transform="translate({x:.1f} {y:.1f})" fill="none" stroke="{colour}" '
            f'stroke-width="1.3">{SHAPES[shape]}</g>')


def panel(name, speeds, all_ranks, x0):
    yield text(x0, TOP - 20, 14, name)
    for percent in range(0, 101, 20):
        y = place(x0, all_ranks, all_ranks[0], percent / 100)[1]
        yield f'<path d="M{x0} {y:.1f}h{PANEL_WIDTH}" stroke="#ddd"/>'
        yield text(x0 - 8, y + 4, 11, f"{percent} %", "end")
    for ranks in all_ranks:
        x, y = place(x0, all_ranks, ranks, 0)
        yield text(x, y + 18, 11, f"{ranks:,}", "middle")
    for speed, marks in speeds.items():
        points = {what: [place(x0, all_ranks, *point) for point in found]
                  for what, found in marks.items()}
        yield line(points["bound"], COLOUR[speed], "4 3")
        yield line(points["tree"], COLOUR[speed], "none")
        for x, y in points["tree"]:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{COLOUR[speed]}"/>'
        for shape in SHAPES:
            for x, y in points[shape]:
                yield mark(x, y, COLOUR[speed], shape)


def legend():
    y = HEIGHT - 54
    for number, (words, colour, dash) in enumerate(LINES):
        x = LEFT + number * 300
        yield (f'<path d="M{x} {y}h30" stroke="{colour}" stroke-dasharray="{dash}" '
               'stroke-width="1.8"/>' + text(x + 38, y + 4, 12, words))
    y += 26
    for shape, x, words in WORDS:
        yield mark(LEFT + x + 15, y, "#555", shape) + text(LEFT + x + 38, y + 4, 12, words)
    yield text(LEFT, HEIGHT - 6, 12, "Efficiency over ranks at 10 Gbit/s, all of it simulated.")


def draw(panels, all_ranks):
    """`panels`: (name, {speed: marks}), as scaling.py makes them; lines are over `all_ranks`.
    Returns an SVG."""
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
             'font-family="sans-serif"><rect width="100%" height="100%" fill="white"/>']
    for number, (name, speeds) in enumerate(panels):
        lines.extend(panel(name, speeds, all_ranks, LEFT + number * (PANEL_WIDTH + GAP)))
    return "\n".join([*lines, *legend(), "</svg>"]) + "\n"
