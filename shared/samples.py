"""Built-in stand-ins for pictures and tables: same types, same shapes, drawn here.

With the texts of `sample_texts` they let every chapter run on a machine without network. They are
deterministic, made in seconds, and about as hard as the real thing, but they are *not* the real
thing: loaders mark them, figures carry their name, and claims about real data are not checked on them.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import torch
from torch import Tensor

# --------------------------------------------------------------------------------- pictures
#
# A class is a list of parts. A part is a shape and its numbers, in coordinates that run from
# -1 (left, top) to 1 (right, bottom). Each number is shaken a little for every picture, and
# the whole is shifted, scaled and turned, so no two pictures are alike.
#   ("taper", x, y, half height, half width at the top, at the bottom)
#   ("bar", x1, y1, x2, y2, radius)          a thick line with round ends
#   ("ellipse", x, y, radius x, radius y)
# A "+" in front also draws the mirror image; a "-" takes the shape away.

GARMENTS: tuple[tuple[tuple, ...], ...] = (
    (("taper", 0, .1, .72, .42, .42), ("+bar", .36, -.5, .66, -.12, .15),
     ("-ellipse", 0, -.68, .16, .12)),                                             # t-shirt
    (("taper", 0, -.72, .14, .34, .36), ("+taper", .2, .1, .8, .17, .12)),         # trouser
    (("taper", 0, .1, .74, .42, .42), ("+bar", .4, -.48, .66, .55, .14),
     ("-ellipse", 0, -.68, .16, .08)),                                             # pullover
    (("taper", 0, -.45, .42, .26, .22), ("taper", 0, .4, .5, .22, .46),
     ("+bar", .22, -.68, .34, -.3, .09)),                                          # dress
    (("taper", 0, .12, .8, .4, .46), ("+bar", .4, -.5, .66, .62, .14),
     ("-bar", 0, -.6, 0, .9, .025)),                                               # coat
    (("bar", -.75, .38, .75, .42, .09), ("bar", -.5, .3, .1, -.2, .07),
     ("bar", .1, -.2, .55, .3, .07), ("bar", -.55, -.15, -.5, .3, .06)),           # sandal
    (("taper", 0, .1, .76, .4, .44), ("+bar", .38, -.5, .64, .3, .13),
     ("-ellipse", 0, -.66, .13, .14), ("-bar", 0, -.5, 0, .5, .018)),              # shirt
    (("bar", -.75, .36, .72, .36, .13), ("ellipse", .1, .2, .62, .3),
     ("ellipse", -.5, .18, .3, .22)),                                              # sneaker
    (("taper", 0, .25, .5, .62, .7), ("ellipse", 0, -.28, .36, .42),
     ("-ellipse", 0, -.3, .24, .3)),                                               # bag
    (("taper", .3, -.25, .55, .26, .3), ("bar", -.6, .42, .5, .4, .2),
     ("bar", -.7, .62, .55, .62, .07)),                                            # ankle boot
)

OBJECTS: tuple[tuple[tuple, ...], ...] = (
    (("bar", -.75, .05, .75, 0, .12), ("+bar", .05, 0, .35, .5, .08), ("bar", .65, 0, .8, -.35, .08)),
    (("bar", -.65, .2, .65, .2, .2), ("taper", 0, -.12, .2, .28, .5), ("+ellipse", .4, .42, .15, .15)),
    (("ellipse", 0, .1, .4, .26), ("ellipse", .38, -.2, .17, .16), ("bar", .5, -.2, .7, -.15, .04),
     ("bar", -.35, .1, -.75, -.05, .09)),
    (("ellipse", 0, .35, .36, .4), ("ellipse", 0, -.25, .28, .26), ("+bar", .16, -.42, .24, -.62, .07)),
    (("ellipse", 0, .1, .45, .2), ("+bar", .3, .2, .3, .8, .05), ("bar", .4, 0, .55, -.4, .08),
     ("bar", .55, -.45, .75, -.8, .03), ("bar", .55, -.45, .4, -.8, .03)),
    (("ellipse", 0, .15, .45, .24), ("+bar", .3, .3, .3, .7, .08), ("ellipse", .5, -.15, .22, .18),
     ("bar", .4, -.15, .35, .1, .07)),
    (("ellipse", 0, .2, .5, .3), ("+ellipse", .3, -.1, .15, .15), ("+bar", .4, .4, .7, .6, .08)),
    (("ellipse", 0, 0, .5, .24), ("+bar", .35, .1, .35, .8, .07), ("bar", .4, -.1, .6, -.5, .13),
     ("bar", .6, -.5, .8, -.4, .1)),
    (("taper", 0, .4, .18, .8, .55), ("taper", -.1, .05, .2, .3, .3), ("bar", .2, .2, .2, -.6, .04)),
    (("taper", -.2, 0, .4, .55, .55), ("taper", .55, .12, .28, .22, .24), ("+ellipse", .45, .5, .14, .14)),
)
#                 body: red, green, blue     background
OBJECT_COLOURS = (((.8, .8, .85), (.5, .7, .95)), ((.8, .2, .2), (.6, .6, .6)),
                  ((.5, .35, .25), (.55, .75, .85)), ((.7, .6, .4), (.6, .5, .45)),
                  ((.6, .4, .2), (.35, .55, .3)), ((.75, .65, .5), (.5, .6, .4)),
                  ((.4, .65, .25), (.45, .4, .3)), ((.45, .3, .2), (.5, .65, .4)),
                  ((.6, .6, .65), (.35, .55, .8)), ((.85, .75, .3), (.65, .65, .6)))


def _distance(kind: str, v: list[Tensor], x: Tensor, y: Tensor) -> Tensor:
    """Negative inside, positive outside, roughly in units of length. Shapes broadcast."""
    if kind == "ellipse":
        return (((x - v[0]) / v[2]) ** 2 + ((y - v[1]) / v[3]) ** 2).sqrt().sub(1) * v[3]
    if kind == "bar":
        dx, dy = v[2] - v[0], v[3] - v[1]
        t = (((x - v[0]) * dx + (y - v[1]) * dy) / (dx * dx + dy * dy + 1e-6)).clamp(0, 1)
        return ((x - v[0] - t * dx) ** 2 + (y - v[1] - t * dy) ** 2).sqrt() - v[4]
    half = v[3] + (v[4] - v[3]) * ((y - v[1]) / v[2] + 1) / 2
    return torch.maximum((x - v[0]).abs() - half, (y - v[1]).abs() - v[2])


def _draw(parts: tuple[tuple, ...], count: int, size: int, shake: float,
          g: torch.Generator) -> Tensor:
    """Soft masks between 0 and 1, ``(count, size, size)``."""
    def normal(scale: float) -> Tensor:
        return torch.randn(count, 1, 1, generator=g) * scale

    axis = (torch.arange(size) + .5) / size * 2 - 1
    angle, zoom = normal(shake), 1 + normal(shake)
    X, Y = axis.view(1, 1, -1) - normal(shake), axis.view(1, -1, 1) - normal(shake)
    cos, sin = angle.cos() / zoom, angle.sin() / zoom
    x, y = cos * X + sin * Y, cos * Y - sin * X
    inside = torch.full((count, size, size), 9.0)
    for kind, *numbers in parts:
        values = [n + normal(shake * .6) for n in numbers]
        values[-1] = values[-1].clamp(min=.02)
        sign, kind = (kind[0], kind[1:]) if kind[0] in "+-" else ("", kind)
        d = _distance(kind, values, x.abs() if sign == "+" else x, y)
        inside = torch.maximum(inside, -d) if sign == "-" else torch.minimum(inside, d)
    return torch.sigmoid(-inside * size * .9)


def _texture(count: int, size: int, g: torch.Generator) -> Tensor:
    """Stripes, checks or plain cloth as a factor around 1, ``(count, size, size)``."""
    axis = torch.arange(size) / size * 2 * math.pi
    across, down = torch.randint(0, 7, (2, count, 1, 1), generator=g)
    depth = torch.rand(count, 1, 1, generator=g) * .35
    phase = torch.rand(count, 1, 1, generator=g) * 6
    return 1 + depth * torch.sin(across * axis.view(1, 1, -1) + down * axis.view(1, -1, 1) + phase)


def _shuffled(X: Tensor, y: Tensor, g: torch.Generator, test: int) -> dict[str, tuple[Tensor, Tensor]]:
    order = torch.randperm(len(y), generator=g)
    X, y = X[order], y[order]
    return {"train": (X[test:], y[test:]), "test": (X[:test], y[:test])}


def garments(train: int = 60_000, test: int = 10_000, seed: int = 0) -> dict[str, tuple[Tensor, Tensor]]:
    """Ten classes of drawn garments in the order of Fashion-MNIST: uint8
    ``(examples, 1, 28, 28)`` and int64 labels, under ``"train"`` and ``"test"``."""
    g = torch.Generator().manual_seed(seed)
    per_class = (train + test) // 10
    X = torch.empty(per_class * 10, 1, 28, 28, dtype=torch.uint8)
    for label, parts in enumerate(GARMENTS):
        mask = _draw(parts, per_class, 28, .115, g)
        shade = .2 + .8 * torch.rand(per_class, 1, 1, generator=g)
        grey = mask * shade * _texture(per_class, 28, g)
        grey += .09 * torch.randn(grey.shape, generator=g) * (mask > .1)
        X[label * per_class:(label + 1) * per_class, 0] = grey.clamp_(0, 1).mul_(255).byte()
    return _shuffled(X, torch.arange(10).repeat_interleave(per_class), g, test)


def colour_images(train: int = 50_000, test: int = 10_000,
                  seed: int = 0) -> dict[str, tuple[Tensor, Tensor]]:
    """Ten classes of coloured things in the order of CIFAR-10 (airplanes, birds, ...): uint8
    ``(examples, 3, 32, 32)`` and int64 labels, under ``"train"`` and ``"test"``."""
    g = torch.Generator().manual_seed(seed)
    per_class = (train + test) // 10
    X = torch.empty(per_class * 10, 3, 32, 32, dtype=torch.uint8)
    fade = torch.linspace(-.12, .12, 32).view(1, 1, 32, 1)
    for label, (parts, (body, ground)) in enumerate(zip(OBJECTS, OBJECT_COLOURS)):
        mask = _draw(parts, per_class, 32, .1, g)[:, None]
        flip = torch.rand(per_class, generator=g) < .5
        mask[flip] = mask[flip].flip(-1)
        def tint(colour):
            return torch.tensor(colour).view(1, 3, 1, 1) + .22 * torch.randn(per_class, 3, 1, 1, generator=g)
        rgb = tint(ground) + fade + mask * (tint(body) * _texture(per_class, 32, g)[:, None] - tint(ground))
        rgb += .05 * torch.randn(rgb.shape, generator=g)
        X[label * per_class:(label + 1) * per_class] = rgb.clamp_(0, 1).mul_(255).byte()
    return _shuffled(X, torch.arange(10).repeat_interleave(per_class), g, test)


# ----------------------------------------------------------------------------------- tables

def wines(rows: int = 4_898, seed: int = 0) -> tuple[pd.DataFrame]:
    """White wines with the twelve columns of the real table; quality rises with alcohol and
    falls with volatile acidity and total sulfur dioxide."""
    rng = np.random.default_rng(seed)
    alcohol = rng.gamma(9, .28, rows) + 8
    volatile = rng.gamma(7.5, .037, rows)
    total = rng.normal(165 - 8 * (alcohol - 10.5), 38, rows).clip(9, 440).round()
    sugar = rng.gamma(1.3, 4.9, rows)
    score = 5.9 + .33 * (alcohol - 10.5) - 1.8 * (volatile - .28) - .003 * (total - 138)
    quality = np.round(score + rng.normal(0, .75, rows)).clip(3, 9).astype(int)
    return (pd.DataFrame({
        "fixed acidity": rng.normal(6.85, .84, rows).clip(3.8).round(1),
        "volatile acidity": volatile.round(2),
        "citric acid": rng.gamma(7.6, .044, rows).round(2),
        "residual sugar": sugar.round(1),
        "chlorides": rng.gamma(5, .009, rows).round(3),
        "free sulfur dioxide": (total * rng.uniform(.1, .4, rows)).round(),
        "total sulfur dioxide": total,
        "density": (.9955 + .00037 * sugar - .0012 * (alcohol - 10.5)).round(4),
        "pH": rng.normal(3.19, .15, rows).round(2),
        "sulphates": rng.gamma(18, .027, rows).round(2),
        "alcohol": alcohol.round(1),
        "quality": quality}),)


def bike_hours(days: int = 730, seed: int = 0) -> tuple[pd.DataFrame]:
    """Rentals by the hour with the columns of the real table: commuters on working days,
    outings at weekends, more in warm and dry weather, more in the second year."""
    rng = np.random.default_rng(seed)
    when = pd.date_range("2011-01-01", periods=24 * days, freq="h")
    hour, day = when.hour.to_numpy(), when.day_of_year.to_numpy()
    weekday = (when.day_of_week.to_numpy() + 1) % 7
    working = ((weekday > 0) & (weekday < 6)).astype(int)
    warmth = .5 - .3 * np.cos(2 * np.pi * (day - 20) / 365) + .06 * np.sin((hour - 9) / 24 * 2 * np.pi)
    weather = np.repeat(rng.choice([1, 2, 3], p=[.66, .26, .08], size=4 * days), 6)
    weather[rng.integers(len(weather), size=3)] = 4
    temperature = (warmth + np.repeat(rng.normal(0, .06, days), 24)).clip(.02, 1)
    humidity = (.55 + .08 * weather - .12 * np.sin((hour - 9) / 24 * 2 * np.pi)
                + rng.normal(0, .1, len(hour))).clip(.1, 1)
    commute = np.exp(-((hour - 8) / 1.3) ** 2) + 1.2 * np.exp(-((hour - 17.5) / 1.8) ** 2)
    outing = np.exp(-((hour - 14) / 4.0) ** 2)
    year = when.year.to_numpy() - 2011
    growth = (1 + .6 * year) * (.3 + temperature) * np.array([0, 1.1, 1, .55, .2])[weather]
    casual = rng.poisson(growth * (12 + 75 * outing * np.where(working, .4, 1)))
    registered = rng.poisson(growth * (15 + 190 * np.where(working, commute + .4 * outing, .9 * outing)))
    return (pd.DataFrame({
        "instant": np.arange(1, len(when) + 1), "dteday": when.strftime("%Y-%m-%d"),
        "season": (when.month.to_numpy() % 12) // 3 + 1, "yr": year, "mnth": when.month,
        "hr": hour, "holiday": 0, "weekday": weekday, "workingday": working,
        "weathersit": weather, "temp": temperature.round(2), "atemp": (temperature * .95).round(4),
        "hum": humidity.round(2), "windspeed": rng.gamma(2.4, .08, len(hour)).clip(0, .85).round(4),
        "casual": casual, "registered": registered, "cnt": casual + registered}),)


def houses(train: int = 1_460, test: int = 1_459, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """House sales with the most telling columns of the real table, gaps included; the test
    table has no price."""
    rng = np.random.default_rng(seed)
    n = train + test
    built = rng.integers(1880, 2010, n)
    quality = (5 + (built - 1950) / 30 + rng.normal(0, 1.1, n)).round().clip(1, 10).astype(int)
    area = (rng.lognormal(7.2, .32, n) * (1 + .04 * (quality - 6))).round().astype(int)
    basement = (area * rng.uniform(.3, .9, n)).round().astype(int)
    garage = rng.choice([0, 1, 2, 3], p=[.06, .26, .56, .12], size=n)
    lot = rng.lognormal(9.1, .45, n).round().astype(int)
    zone = rng.choice(["RL", "RM", "FV", "C (all)"], p=[.78, .15, .05, .02], size=n)
    near = rng.integers(0, 12, n)
    air = np.where(rng.random(n) < .93, "Y", "N")
    log_price = (9.85 + .11 * quality + .00036 * area + .00008 * basement + .06 * garage
                 + .035 * np.sin(near) + .06 * (air == "Y") - .08 * (zone == "RM")
                 + .0012 * (built - 1970) + rng.normal(0, .11, n))
    frame = pd.DataFrame({
        "Id": np.arange(1, n + 1), "MSSubClass": rng.choice([20, 30, 50, 60, 120], size=n),
        "MSZoning": zone, "LotFrontage": pd.Series((lot ** .5 * .7).round()).mask(rng.random(n) < .17),
        "LotArea": lot, "Street": np.where(rng.random(n) < .995, "Pave", "Grvl"),
        "Alley": pd.Series(rng.choice(["Grvl", "Pave"], size=n), dtype=object).mask(rng.random(n) < .93),
        "Neighborhood": np.array([f"District{k:02}" for k in range(12)])[near],
        "HouseStyle": rng.choice(["1Story", "2Story", "1.5Fin"], p=[.5, .35, .15], size=n),
        "OverallQual": quality, "OverallCond": rng.integers(3, 9, n), "YearBuilt": built,
        "TotalBsmtSF": basement, "CentralAir": air, "GrLivArea": area,
        "FullBath": rng.integers(1, 4, n), "BedroomAbvGr": rng.integers(1, 6, n),
        "GarageType": pd.Series(rng.choice(["Attchd", "Detchd"], size=n), dtype=object).mask(garage == 0),
        "GarageCars": garage, "GarageArea": garage * rng.integers(200, 320, n),
        "PoolQC": pd.Series(rng.choice(["Ex", "Gd"], size=n), dtype=object).mask(rng.random(n) < .995),
        "YrSold": rng.integers(2006, 2011, n), "SalePrice": np.exp(log_price).round(-2).astype(int)})
    return frame[:train], frame[train:].drop(columns="SalePrice").reset_index(drop=True)
