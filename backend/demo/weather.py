"""The synthetic weather: the truth at a site, and each model's forecast of it with known errors.

Everything is a pure function of the seed, the place and the time, so that any moment can be evaluated
by itself, in any order and in any process. Times are seconds since 1970 in UTC, as arrays.

The wind never falls quite calm (see CALMEST), so that a model that forecasts too little is not cut off at
zero and its injected bias stays recoverable as a plain mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from backend.core.parameters import Parameter
from backend.core.records import Site
from backend.core.units import COMPASS, KMH_PER_MS
from backend.demo.noise import Floats, chance, smooth, stream, uniform

EQUALS = {
    "semnoz": ("meteo_parapente", "arome_0025"),
    "beauregard": ("icon_ch2", "icon_ch1"),
    "mieussy": ("icon_ch2", "icon_ch1"),
}
"""By site, two models with the same bias and the same noise, drawn independently."""

FITS = {("burzier", Parameter.WIND_SPEED): "icon_ch1", ("montmin", Parameter.WIND_GUST): "icon_ch1"}
"""By site and parameter, the only model whose values fit: those of the others are TOO_STRONG there."""

TOO_STRONG = {Parameter.WIND_SPEED: 3.0, Parameter.WIND_GUST: 12.0}
"""In km/h, on top of the other errors: more than the noise of 30 days hides."""

CALMEST = 6.5 / KMH_PER_MS  # m/s
HOUR = 3600.0
DAY = 86400.0
YEAR = 365.25 * DAY

_FACING = {point: index * 45.0 for index, point in enumerate(COMPASS)}

_CENTRE = (45.95, 6.5)  # degrees; the waves are drawn around it
_KM_PER_DEGREE = 111.2


@dataclass(frozen=True, slots=True)
class Values:
    """One place at many times: speed and gust in km/h, direction in degrees (from), temperature in °C."""

    speed: Floats
    gust: Floats
    direction: Floats
    temperature: Floats

    @property
    def u(self) -> Floats:
        """Return the component towards the east, in m/s."""
        return components(self.speed, self.direction)[0]

    @property
    def v(self) -> Floats:
        """Return the component towards the north, in m/s."""
        return components(self.speed, self.direction)[1]


def components(speed: Floats, direction: Floats) -> tuple[Floats, Floats]:
    """Turn a speed (km/h) and a direction (degrees, from) into u and v in m/s."""
    angle = np.radians(direction)
    speed_ms = speed / KMH_PER_MS
    return -speed_ms * np.sin(angle), -speed_ms * np.cos(angle)


@dataclass(frozen=True, slots=True)
class Character:
    """The errors of a model: per parameter its mean bias, the spread of bias over sites, and its noise.

    All in the parameter's unit. The noise is a standard deviation at lead time 0; `growth` is what it
    gains per day of lead time, as a share of itself.
    """

    bias: dict[Parameter, float]
    noise: dict[Parameter, float]
    growth: float


def _like(
    *, bias: tuple[float, float, float, float], noise: tuple[float, float, float, float], growth: float
) -> Character:
    """Return a character, its numbers in the order of the parameters: speed, gust, direction, temperature."""
    return Character(
        bias=dict(zip(Parameter, bias, strict=True)),
        noise=dict(zip(Parameter, noise, strict=True)),
        growth=growth,
    )


_SITE_SPREAD = {
    Parameter.WIND_SPEED: 1.2,
    Parameter.WIND_GUST: 1.5,
    Parameter.WIND_DIRECTION: 4.0,
    Parameter.TEMPERATURE: 0.4,
}

CHARACTERS = {
    "meteo_parapente": Character(
        bias={
            Parameter.WIND_SPEED: 2.5,
            Parameter.WIND_GUST: 0.0,  # it publishes none
            Parameter.WIND_DIRECTION: 8.0,
            Parameter.TEMPERATURE: -0.8,
        },
        noise={
            Parameter.WIND_SPEED: 2.0,
            Parameter.WIND_GUST: 3.0,
            Parameter.WIND_DIRECTION: 10.0,
            Parameter.TEMPERATURE: 0.9,
        },
        growth=0.5,
    ),
    "arome_0025": Character(
        bias={
            Parameter.WIND_SPEED: -0.8,
            Parameter.WIND_GUST: 2.0,
            Parameter.WIND_DIRECTION: -5.0,
            Parameter.TEMPERATURE: 0.6,
        },
        noise={
            Parameter.WIND_SPEED: 1.5,
            Parameter.WIND_GUST: 2.5,
            Parameter.WIND_DIRECTION: 8.0,
            Parameter.TEMPERATURE: 0.7,
        },
        growth=0.35,
    ),
    "arome_001": Character(
        bias={
            Parameter.WIND_SPEED: 0.8,
            Parameter.WIND_GUST: 1.0,
            Parameter.WIND_DIRECTION: 3.0,
            Parameter.TEMPERATURE: 0.3,
        },
        noise={
            Parameter.WIND_SPEED: 1.2,
            Parameter.WIND_GUST: 2.0,
            Parameter.WIND_DIRECTION: 7.0,
            Parameter.TEMPERATURE: 0.6,
        },
        growth=0.3,
    ),
    "claef_1km": _like(bias=(0.9, -1.2, -4.0, 0.5), noise=(1.3, 2.1, 8.0, 0.7), growth=0.3),
    "arome_ifs_0025": _like(bias=(0.3, 1.6, -1.0, 0.4), noise=(1.4, 2.3, 8.0, 0.7), growth=0.3),
    "arpege_01": _like(bias=(-1.4, 1.1, 5.0, 1.1), noise=(1.8, 2.7, 10.0, 1.0), growth=0.25),
    "meteohub_icon_2i": _like(bias=(0.7, 0.9, -3.0, -0.5), noise=(1.5, 2.4, 9.0, 0.8), growth=0.3),
    "icon_d2": _like(bias=(1.2, 0.5, 4.0, -0.4), noise=(1.4, 2.2, 8.0, 0.7), growth=0.3),
    "icon_ch1": _like(bias=(0.4, 1.2, -2.0, 0.2), noise=(1.1, 1.9, 7.0, 0.6), growth=0.3),
    "icon_ch2": _like(bias=(0.6, 1.5, -3.0, 0.3), noise=(1.5, 2.4, 9.0, 0.8), growth=0.3),
    "arpege_europe": _like(bias=(-1.5, 1.0, 6.0, 1.2), noise=(1.8, 2.7, 10.0, 1.0), growth=0.25),
    "ecmwf_ifs025": _like(bias=(-1.8, -0.5, 7.0, 1.5), noise=(1.7, 2.5, 9.0, 0.9), growth=0.2),
    "gfs_global": _like(bias=(1.8, 3.0, -9.0, -1.2), noise=(1.9, 2.8, 10.0, 0.8), growth=0.3),
}

PLAIN = _like(bias=(0.5, 1.0, 2.0, 0.3), noise=(1.6, 2.5, 9.0, 0.8), growth=0.3)
"""The errors of a model without an entry of its own."""

MODELS = tuple(CHARACTERS)


def _errs_like(model: str, site: str) -> str:
    equal = EQUALS.get(site)
    return equal[1] if equal and model in equal else model


def injected_bias(model: str, site: str, parameter: Parameter) -> float:
    """Return the mean error (forecast minus truth) that `model` has at the site of this id, for any seed."""
    twin = _errs_like(model, site)
    deviation = 2.0 * chance("bias", twin, site, parameter) - 1.0
    bias = CHARACTERS.get(twin, PLAIN).bias[parameter] + deviation * _SITE_SPREAD[parameter]
    if FITS.get((site, parameter), model) != model:
        bias += TOO_STRONG[parameter]
    return bias


def injected_noise(model: str, site: str, parameter: Parameter, lead: Floats) -> Floats:
    """Return the standard deviation of the model's error around its bias at lead times in seconds."""
    character = CHARACTERS.get(_errs_like(model, site), PLAIN)
    return character.noise[parameter] * (1.0 + character.growth * np.maximum(lead, 0.0) / DAY)


@dataclass(frozen=True, slots=True)
class Waves:
    """A sum of travelling sines: smooth in time and place."""

    amplitude: Floats
    omega: Floats
    phase: Floats
    east: Floats
    north: Floats

    def at(self, times: Floats, x: float, y: float) -> Floats:
        """Return the sum at these times, `x` km east and `y` km north of the centre."""
        shift = self.phase - self.east * x - self.north * y
        return self.amplitude @ np.cos(self.omega[:, None] * times + shift[:, None])


def _waves(seed: int, name: str, *waves: tuple[float, float]) -> Waves:
    """Draw phases and headings for (period in hours, amplitude) pairs; long periods are wide waves."""
    periods, amplitudes = np.array(waves).T
    index = np.arange(len(waves))
    heading = 2.0 * np.pi * uniform(stream(seed, name, "heading"), index)
    number = 2.0 * np.pi / (200.0 + 12.0 * periods)  # radians per km
    return Waves(
        amplitude=amplitudes,
        omega=2.0 * np.pi / (periods * HOUR),
        phase=2.0 * np.pi * uniform(stream(seed, name, "phase"), index),
        east=number * np.cos(heading),
        north=number * np.sin(heading),
    )


_WIND_WAVES = ((147.0, 2.2), (103.0, 1.8), (65.0, 1.4), (31.0, 0.9), (19.0, 0.6), (11.0, 0.4), (2.9, 0.3))
_WARMTH_WAVES = ((199.0, 2.6), (122.0, 1.8), (77.0, 1.1), (7.3, 0.3))
_UNIT_WAVES = ((53.0, 0.5), (29.0, 0.3), (5.1, 0.2))


@lru_cache(maxsize=4096)
def _breeze_from(seed: int, site: Site) -> float:
    """Return the direction of the day's breeze: the orientation of the take-off."""
    if site.orientation:
        return _FACING[site.orientation[0]]
    return 360.0 * chance(seed, site.id, "faces")


@lru_cache(maxsize=4096)
def _exposure(seed: int, site_id: str) -> tuple[float, float]:
    """Return the shares of the large-scale wind and of the breeze at a site."""
    return 0.7 + 0.5 * chance(seed, site_id, "exposed"), 0.6 + 0.8 * chance(seed, site_id, "breezy")


def _daytime(site: Site, times: Floats) -> Floats:
    """Return a smooth 0 (night) to 1 (three in the afternoon, by the sun)."""
    solar = times + site.longitude / 15.0 * HOUR
    return np.asarray((0.5 + 0.5 * np.cos(2.0 * np.pi * (solar / DAY - 15.0 / 24.0))) ** 2)


def _summer(times: Floats) -> Floats:
    """Return a smooth -1 (mid-January) to 1 (mid-July)."""
    return np.asarray(np.cos(2.0 * np.pi * (times / YEAR - 0.54)))


class Weather:
    """One synthetic world, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._east = _waves(seed, "east", *_WIND_WAVES)
        self._north = _waves(seed, "north", *_WIND_WAVES)
        self._warmth = _waves(seed, "warmth", *_WARMTH_WAVES)
        self._sunshine = _waves(seed, "sunshine", *_UNIT_WAVES)
        self._rough = _waves(seed, "rough", *_UNIT_WAVES)

    def truth(self, site: Site, times: Floats) -> Values:
        """Return the true weather of a site: the large-scale wind, the breeze and local variations."""
        x = (site.longitude - _CENTRE[1]) * _KM_PER_DEGREE * np.cos(np.radians(_CENTRE[0]))
        y = (site.latitude - _CENTRE[0]) * _KM_PER_DEGREE
        exposure, breeziness = _exposure(self.seed, site.id)
        day, summer = _daytime(site, times), _summer(times)
        sun = 0.6 + 0.4 * self._sunshine.at(times, x, y)

        breeze = breeziness * (4.0 * day * sun * (0.7 + 0.3 * summer) - 0.8 * (1.0 - day))
        angle = np.radians(_breeze_from(self.seed, site))
        u = exposure * (1.5 + self._east.at(times, x, y)) - breeze * np.sin(angle)
        v = exposure * self._north.at(times, x, y) - breeze * np.cos(angle)

        speed = KMH_PER_MS * np.sqrt(u**2 + v**2 + CALMEST**2)
        return Values(
            speed=speed,
            gust=speed * (1.35 + 0.15 * self._rough.at(times, x, y)) + 4.0 + 6.0 * day * sun,
            direction=np.degrees(np.arctan2(-u, -v)) % 360.0,
            temperature=(
                13.0
                + 8.5 * summer
                + 5.0 * (day - 0.4) * sun
                - 0.0065 * site.elevation
                + self._warmth.at(times, x, y)
            ),
        )

    def forecast(self, model: str, site: Site, run: float, times: Floats) -> Values:
        """Return the forecast of `model` for a site at these valid times, from the run started at `run`."""
        truth = self.truth(site, times)
        wind, more, turn, warm = (
            smooth(stream(self.seed, model, site.id, parameter, int(run)), times, 3.0 * HOUR)
            for parameter in Parameter
        )
        # The errors of gusts follow those of the mean wind, or a gust would fall below the mean.
        gusty = 0.8 * wind + 0.6 * more

        def error(parameter: Parameter, noise: Floats) -> Floats:
            spread = injected_noise(model, site.id, parameter, times - run)
            return injected_bias(model, site.id, parameter) + spread * noise

        speed = np.maximum(truth.speed + error(Parameter.WIND_SPEED, wind), 0.0)
        return Values(
            speed=speed,
            gust=np.maximum(truth.gust + error(Parameter.WIND_GUST, gusty), speed),
            direction=(truth.direction + error(Parameter.WIND_DIRECTION, turn)) % 360.0,
            temperature=truth.temperature + error(Parameter.TEMPERATURE, warm),
        )

    def background(
        self, latitudes: Floats, longitudes: Floats, times: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """Return u, v (m/s) and temperature (°C) on a grid, shaped (times, latitudes, longitudes).

        Smooth and bounded at any size; it is the forecast of a model away from the sites.
        """
        rows = np.sin(np.radians(latitudes * 20.0))[None, :, None]
        columns = np.cos(np.radians(longitudes * 15.0))[None, None, :]

        def over_the_grid(centre: Floats, slope: float) -> Floats:
            return centre[:, None, None] + slope * (rows + columns)

        return (
            over_the_grid(self._east.at(times, 0.0, 0.0), 1.5),
            over_the_grid(self._north.at(times, 0.0, 0.0), -1.5),
            over_the_grid(8.0 + self._warmth.at(times, 0.0, 0.0), 3.0),
        )


class AbsurdWeather(Weather):
    """The values of a broken sensor or model, all outside the plausible range."""

    def truth(self, site: Site, times: Floats) -> Values:
        """Return 9999 km/h of wind with gusts of a million, at 99 °C below zero."""
        return Values(
            speed=np.full_like(times, 9999.0),
            gust=np.full_like(times, 1e6),
            direction=super().truth(site, times).direction,
            temperature=np.full_like(times, -99.0),
        )
