"""The picture of docs/scaling.md: efficiency over ranks, a panel a network."""

WIDTH, HEIGHT, LEFT, TOP = 1000, 400, 60, 50
PANEL_WIDTH, PANEL_HEIGHT, GAP = 260, 270, 50
HIGHEST = 1.1  # efficiency
COLOUR = {1: "#1a6faf", 10: "#c44e1c"}
LEGEND = (("computing as measured", COLOUR[1], "none"), ("ten times faster", COLOUR[10], "none"),
          ("what wire time and overlap allow", "#555", "4 3"))


def place(x0, all_ranks, ranks, efficiency):
    step = all_ranks.index(ranks) / (len(all_ranks) - 1)
    return x0 + step * PANEL_WIDTH, TOP + (1 - efficiency / HIGHEST) * PANEL_HEIGHT


def text(x, y, size, words, anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{words}</text>'


def line(points, colour, dash):
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-dasharray="{dash}" '
            'stroke-width="1.8"/>')


def panel(name, curves, all_ranks, x0):
    yield text(x0, TOP - 20, 14, name)
    for percent in range(0, 101, 20):
        y = place(x0, all_ranks, all_ranks[0], percent / 100)[1]
        yield f'<path d="M{x0} {y:.1f}h{PANEL_WIDTH}" stroke="#ddd"/>'
        yield text(x0 - 8, y + 4, 11, f"{percent} %", "end")
    for ranks in all_ranks:
        x, y = place(x0, all_ranks, ranks, 0)
        yield text(x, y + 18, 11, f"{ranks:,}", "middle")
    for speed, found, bound in curves:
        yield line([place(x0, all_ranks, *point) for point in bound], COLOUR[speed], "4 3")
        points = [place(x0, all_ranks, *point) for point in found]
        yield line(points, COLOUR[speed], "none")
        for x, y in points:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{COLOUR[speed]}"/>'


def draw(panels, all_ranks):
    """`panels`: (name, curves), as scaling.py makes them. Returns an SVG."""
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
             'font-family="sans-serif"><rect width="100%" height="100%" fill="white"/>']
    for number, (name, curves) in enumerate(panels):
        lines.extend(panel(name, curves, all_ranks, LEFT + number * (PANEL_WIDTH + GAP)))
    for number, (words, colour, dash) in enumerate(LEGEND):
        x, y = LEFT + number * 230, HEIGHT - 18
        lines.append(f'<path d="M{x} {y}h30" stroke="{colour}" stroke-dasharray="{dash}" '
                     'stroke-width="1.8"/>' + text(x + 38, y + 4, 12, words))
    lines.append(text(WIDTH - 20, HEIGHT - 14, 12, "efficiency over ranks, 10 Gbit/s", "end"))
    return "\n".join([*lines, "</svg>"]) + "\n"
