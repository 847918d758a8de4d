"""The colours of attention, as classes `heat-0` to `heat-50`: pages may not carry styles of their own in attributes.

Darker is more in the light scheme, brighter is more in the dark one; text on a colour is black or white, whichever has
the higher contrast. The domain is 0 to 1, interpolated in RGB.
"""

from __future__ import annotations

STEPS = 50
LIGHT = ("#f7fbff", "#9ecae1", "#4292c6", "#08519c")
DARK = ("#16202b", "#1f4b73", "#4292c6", "#c6e2f5")

Colour = tuple[float, float, float]


def stylesheet() -> str:
    """The rules for both schemes."""
    light, dark = (
        "\n".join(f".heat-{step} {{ background: {_hex(c)}; color: {ink(c)}; }}" for step, c in enumerate(_ramp(stops)))
        for stops in (LIGHT, DARK)
    )
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"


def step(weight: float) -> int:
    """The class's number for a weight from 0 to 1."""
    return round(max(0.0, min(1.0, weight)) * STEPS)


def ink(background: Colour) -> str:
    """Black or white, whichever contrasts more."""
    light = luminance(background)
    return "#000000" if (light + 0.05) / 0.05 >= 1.05 / (light + 0.05) else "#ffffff"


def luminance(colour: Colour) -> float:
    """Relative luminance, 0 to 1 (WCAG 2.2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _ramp(stops: tuple[str, ...]) -> list[Colour]:
    colours = [_rgb(stop) for stop in stops]
    made = []
    for i in range(STEPS + 1):
        place = i / STEPS * (len(colours) - 1)
        low = min(int(place), len(colours) - 2)
        share = place - low
        r, g, b = (
            (1 - share) * before + share * after for before, after in zip(colours[low], colours[low + 1], strict=True)
        )
        made.append((r, g, b))
    return made


def _rgb(text: str) -> Colour:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _hex(colour: Colour) -> str:
    return "#" + "".join(f"{round(part):02x}" for part in colour)
