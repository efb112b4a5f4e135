"""Every number that scoring rests on, once, with its unit, its reason and where it comes from.

The methodology page and document are generated from CONSTANTS. A constant without a reference is a
choice of this project, which no standard imposes. Reasons and units are shown in French too:
`web/locale/fr/constants.po` has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from backend.core.parameters import Parameter

T = TypeVar("T", int, float, str, tuple[float, ...])


@dataclass(frozen=True, slots=True)
class Constant(Generic[T]):
    """A named value; `reference` is None where it is our own choice."""

    name: str
    value: T
    unit: str
    reason: str
    reference: str | None = None


# Errors and their spread

RANKING_SCORE = Constant(
    "ranking_score",
    "MAE",
    "score",
    "Declared before any result was seen, so that no model is favoured by choosing a score afterwards. "
    "The RMSE is published beside it: a model tuned for the mean is judged more fairly by that one.",
    "Gneiting 2011, JASA, 10.1198/jasa.2011.r10138",
)
WITHIN_WIND = Constant(
    "within_wind", 5.0, "km/h", "An error of the mean wind that does not change a pilot's decision."
)
WITHIN_GUST = Constant(
    "within_gust", 8.0, "km/h", "Gusts scatter more than the mean wind: the same decision bears more."
)
WITHIN_DIRECTION = Constant(
    "within_direction", 30.0, "degrees", "A wind 30 degrees off the slope is still the same take-off."
)
WITHIN_TEMPERATURE = Constant(
    "within_temperature", 2.0, "°C", "The usual tolerance for a temperature two metres above ground."
)
WITHIN = {
    Parameter.WIND_SPEED: WITHIN_WIND,
    Parameter.WIND_GUST: WITHIN_GUST,
    Parameter.WIND_DIRECTION: WITHIN_DIRECTION,
    Parameter.TEMPERATURE: WITHIN_TEMPERATURE,
}

# Direction

LIGHT_WIND = Constant(
    "light_wind",
    10.8,
    "km/h",
    "3 m/s: below, the observed direction is noise and does not test the model.",
    "WMO LC-DNV, surface verification",
)
BREEZE = Constant(
    "breeze", 5.0, "km/h", "Lower end of the optional light-wind group: noisier, and labelled so."
)
STEADY_RESULTANT = Constant(
    "steady_resultant",
    0.5,
    "resultant length",
    "Below it the errors point everywhere and their mean direction means nothing: "
    "the answer is 'no steady direction error'.",
)
UNINFORMED_DIRECTION_MAE = Constant(
    "uninformed_direction_mae",
    90.0,
    "degrees",
    "The mean absolute error of a direction drawn at random; printed beside every direction MAE.",
    "Mardia & Jupp 2000, Directional Statistics: the mean of |d| uniform on 0 to 180",
)
TRIGONOMETRIC_STEPS = Constant(
    "trigonometric_steps",
    1_000_000,
    "steps in 1",
    "Sines and cosines are added as whole millionths, so that sums are exact in any order; "
    "one step is 0.00006 degrees, far below any instrument.",
)

# Temperature and gust

LAPSE_RATE = Constant(
    "lapse_rate",
    0.0065,
    "°C per metre",
    "Converts the model's temperature from the height of its ground to the station's height.",
    "WMO LC-DNV, surface verification",
)
FAR_IN_HEIGHT = Constant(
    "far_in_height",
    300.0,
    "m",
    "Further apart, a constant lapse rate decides the error: the temperature is flagged, not headlined.",
)
GUST_REPORTS = Constant(
    "gust_reports",
    0.8,
    "share",
    "A maximum over an interval is only comparable if most of the interval was observed.",
)

# Quality control of readings

STUCK_READINGS = Constant(
    "stuck_readings",
    12,
    "readings",
    "So many equal triples of speed, gust and direction in a row, within six hours and of a moving wind,"
    " come from no wind. A triple with one value alone is none.",
)
STUCK_CALM = Constant(
    "stuck_calm",
    6,
    "hours",
    "So long a calm from one direction is an iced or blocked anemometer, if the neighbours have wind.",
)
NEIGHBOUR_WIND = Constant(
    "neighbour_wind", 10.0, "km/h", "Mean wind at another station of the site in the same hours."
)
SPIKE_WIND = Constant(
    "spike_wind", 50.0, "km/h", "A mean wind this far from the readings before and after it is an error."
)
SPIKE_GUST = Constant("spike_gust", 80.0, "km/h", "The same for a gust, which may well stand alone.")
SPIKE_TEMPERATURE = Constant("spike_temperature", 8.0, "°C", "The same for a temperature.")
SPIKE_GAP = Constant(
    "spike_gap", 20, "minutes", "Only of neighbours this near in time is a spike known to be one."
)
FAR_FROM_MODELS = Constant(
    "far_from_models",
    6,
    "standard deviations of the models' climate",
    "A reading further than this from the nearest model is an error of the station.",
    "harp, check_obs_against_fcst",
)
CLIMATE_MONTHS = Constant(
    "climate_months",
    3,
    "closed calendar months before the reading's",
    "Long enough to have seen the season's weather; closed, so that a limit never depends on the reading.",
)
CLIMATE_DAYS = Constant(
    "climate_days", 30, "days", "With fewer days of forecasts there is no climate, and no such limit."
)

# What the days of a station together show about its sensors

NORTH_SHARE = Constant(
    "north_share",
    0.95,
    "share of a station's readings with wind",
    "So often a direction of exactly 0 is no wind: some sources write 0 for a vane that is missing.",
)
NORTH_READINGS = Constant(
    "north_readings", 100, "readings with wind", "With fewer, a north wind may be all that was seen."
)
NORTH_DAYS = Constant("north_days", 3, "days", "A north wind may well last for a day or two.")
NORTH_RETURNS = Constant(
    "north_returns",
    14,
    "days",
    "A stretch up to this long counts again once the vane has shown other directions: it was a north wind. "
    "Through a longer one no wind keeps to one bearing.",
)
SENSOR_HISTORY = Constant(
    "sensor_history",
    30,
    "days on which the sensor varied",
    "With fewer, the usual length of a calm at this station is not known.",
)
STOPPED_DAYS = Constant(
    "stopped_days",
    10,
    "days with daytime readings, without one of wind",
    "Longer than an inversion keeps an anemometer at exactly 0, gusts included. With no neighbour to "
    "confirm it, a shorter calm is believed, be every model against it.",
)
TURNING_DAYS = Constant(
    "turning_days",
    2,
    "days with daytime readings",
    "Enough where the vane keeps turning beside a mean and a gust of 0: something moves it.",
)
TURNING_SHARE = Constant(
    "turning_share",
    0.5,
    "share of two calm readings in a row with directions",
    "The vane turns if so many of them differ; in still air it stays where it is.",
)
STUCK_VANE_DAYS = Constant(
    "stuck_vane_days",
    5,
    "days with wind that varies",
    "No weather keeps a vane at one bearing, to the degree, for so long.",
)
STUCK_VANE_SPEEDS = Constant(
    "stuck_vane_speeds", 5.0, "km/h", "By at least so much the mean wind varies on a day that counts."
)
STUCK_VANE_ANGLE = Constant(
    "stuck_vane_angle",
    90.0,
    "degrees",
    "So far away every model has the wind on a day that counts against it.",
)
FROZEN_DAYS = Constant(
    "frozen_days", 5, "days", "Fog may hold a temperature for a day or two, and not for so long."
)
FROZEN_RANGE = Constant(
    "frozen_range", 3.0, "°C", "By so much every model's temperature varies on a day that counts against it."
)
SENSOR_CONTRADICTED = Constant(
    "sensor_contradicted",
    0.5,
    "share of the days",
    "On so many of them every model must disagree, by day. That is never enough by itself: the calm must "
    "also be longer than any verified one of the station.",
)

DRIFT_DAYS = Constant(
    "drift_days", 30, "days up to yesterday", "Long enough that one weather situation is no drift."
)
DRIFT_BEFORE = Constant(
    "drift_before", 90, "days before those", "What the station's level was, and not yet another season's."
)
DRIFT_LEAST = Constant("drift_least", 20, "of the 30 days", "With fewer, no drift is reported.")
DRIFT_RATIO = Constant(
    "drift_ratio",
    0.6,
    "of the former level against the models",
    "A mean wind this much lower in both halves of the last days, or higher by its inverse, is a question to "
    "the operator. It leaves no reading out.",
)
DRIFT_TEMPERATURE = Constant(
    "drift_temperature", 3.0, "°C", "The same for the difference of a temperature from the models'."
)

# Pairs

USUAL_AVERAGING = Constant(
    "usual_averaging",
    10,
    "minutes",
    "Of a mean wind whose source states no period. The middle of the period is what is matched: a mean of "
    "ten minutes stamped at its end is centred five minutes earlier.",
)
MATCH_TOLERANCE = Constant(
    "match_tolerance", 10, "minutes", "One report of a ten-minute beacon earlier or later."
)
MATCH_TOLERANCE_MOST = Constant(
    "match_tolerance_most",
    30,
    "minutes",
    "Of beacons that report more rarely half their interval is allowed, but never more than this.",
)
MEAN_REACH = Constant(
    "mean_reach",
    30,
    "minutes before and after the hour",
    "A verdict is tried again with the mean of the hour, to see that it does not hang on single reports.",
)
MEAN_REPORTS = Constant("mean_reports", 4, "reports", "With fewer there is no mean of an hour.")
MEAN_REPORTS_OF = Constant(
    "mean_reports_of",
    6,
    "reports",
    "Of so many the former are asked for; of a beacon that reports more often, the same share.",
)
COMMON_SAMPLE_KEEPS = Constant(
    "common_sample_keeps",
    0.7,
    "share of the largest pairwise sample",
    "A model with a short history must not erase the others: below it, only pairs of models are compared.",
)

COMPLETE_MONTH = Constant(
    "complete_month",
    0.9,
    "share of a calendar month's hours",
    "From here on a month of observations is called complete; a label, and no reason to leave hours out.",
    "WMO LC-DNV, surface verification",
)

# Events

LEAST_EVENTS = Constant(
    "least_events",
    10,
    "observed events, and forecast events",
    "With fewer of either, a rate would suggest a precision that is not there: the counts are shown.",
)
FLYING_FROM = Constant("flying_from", 10, "local hour", "Start of the flying day.")
FLYING_UNTIL = Constant("flying_until", 18, "local hour, itself included", "End of the flying day.")
FLYABLE_DAY_HOURS = Constant(
    "flyable_day_hours",
    0.8,
    "share of a flying day's hours",
    "Only a day with so many known hours counts, good or not: with fewer, good days would be known by "
    "the hours that are left, and bad ones not. An hour that is missing ends a run of good ones.",
)
FLYABLE_RUN = Constant(
    "flyable_run", 2, "consecutive hours", "One good hour does not make a day worth the drive."
)

# Groups

SECTORS = Constant("sectors", 8, "sectors of 45 degrees", "The first is centred on north.")
WIND_CLASSES = Constant(
    "wind_classes",
    (5.0, 10.8, 20.0, 30.0),
    "km/h, lower ends after 0",
    "Calm, light (no usable direction), good, strong, too strong.",
)
GIVEN_WIND_EDGES = Constant(
    "given_wind_edges",
    (5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0),
    "km/h",
    "Bins of the forecast, to show what is observed after such a value; wider where cases are rare.",
)
LEAST_CLIMATOLOGY_DAYS = Constant(
    "least_climatology_days",
    10,
    "other days with this month and hour",
    "A mean over fewer is a reference too weak to be called a climatology.",
)

PART_OF_DAY = Constant(
    "part_of_day",
    3,
    "local hours",
    "Eight parts of the day: fine enough to separate the morning from the breeze.",
)
DAY_FROM = Constant("day_from", 8, "local hour", "Start of the day where day and night are separated.")
DAY_UNTIL = Constant(
    "day_until", 19, "local hour, itself included", "End of that day; the rest is night, with its inversions."
)

# Further stations

DUPLICATE_DISTANCE = Constant(
    "duplicate_distance", 180.0, "m", "Lists round positions: so near, two entries may be one mast."
)
DUPLICATE_HEIGHT = Constant("duplicate_height", 50.0, "m", "Lists differ by so much about one mast's height.")
DUPLICATE_WIND = Constant(
    "duplicate_wind", 1.0, "km/h", "What rounding and other units make of one and the same mean wind."
)
DUPLICATE_SHARE = Constant(
    "duplicate_share",
    0.9,
    "share of the hours that both have",
    "Two masts side by side differ more often; one mast in two lists hardly ever does.",
)
DUPLICATE_HOURS = Constant(
    "duplicate_hours",
    24,
    "hours",
    "With fewer in common, their values do not show whether both are one mast.",
)

# When the wind picks up

TIMING_LIMIT = Constant(
    "timing_limit",
    20.0,
    "km/h",
    "A breeze that is set: the limit whose time is compared unless another is given.",
)
TIMING_STEP = Constant(
    "timing_step",
    15,
    "minutes",
    "The time at which an hourly forecast passes a limit is not known more finely than that.",
)
TIMING_DAYS = Constant(
    "timing_days",
    180,
    "days up to today",
    "Half a year: the readings of ten minutes are gone through, and those of years would take too long.",
)

# What a page shows of a beacon

BEACON_DAYS = Constant(
    "beacon_days", 28, "days up to today", "Four weeks: what the sensor does now, over more than one weather."
)
BEACON_HOURS = Constant(
    "beacon_hours",
    100,
    "hours that both have",
    "With fewer, a difference from a neighbour or a model is that of a few days' weather.",
)

# Questions

USUAL_DAYS = Constant(
    "usual_days", 365, "days up to today", "A whole year, so that no season weighs more than another."
)
MOST_DAYS = Constant("most_days", 1100, "days of a question", "Three years; models change faster than that.")
MOST_SERIES_DAYS = Constant("most_series_days", 31, "days of hourly values", "What a chart can show.")
USUAL_SERIES_DAYS = Constant("usual_series_days", 7, "days", "What a pilot remembers.")
LEAST_LIMIT = Constant("least_limit", 5.0, "km/h", "The lowest limit that anyone may ask about.")
MOST_LIMIT = Constant(
    "most_limit", 80.0, "km/h", "The highest limit that may be asked about; flights end far below it."
)
USUAL_WIND_LIMIT = Constant("usual_wind_limit", 25.0, "km/h", "Where the slider for the mean wind begins.")
USUAL_GUST_LIMIT = Constant("usual_gust_limit", 35.0, "km/h", "Where the slider for gusts begins.")

# Figures for the public in which a source with withheld values takes part

PUBLIC_DECIMALS = Constant(
    "public_decimals",
    1,
    "decimals of a figure",
    "The finest figure that is published where a withheld source takes part, however many hours it rests on.",
)
PUBLIC_SHARE_DECIMALS = Constant(
    "public_share_decimals", 2, "decimals of a share or a skill", "The finest of these, for the same reason."
)
PUBLIC_LIMIT_STEP = Constant(
    "public_limit_step",
    5.0,
    "km/h",
    "Limits are taken to the nearest such step: counts over many limits would reveal every value.",
)
PUBLIC_AFTER_DAYS = Constant(
    "public_after_days",
    3,
    "days after the end of a calendar month",
    "By then the networks' histories of 72 hours have been read; what comes later changes no published figure"
    " unless at least 20 days of the month differ.",
)
PUBLIC_WINDOWS = Constant(
    "public_windows",
    (1.0, 3.0, 12.0),
    "whole calendar months",
    "Two such periods differ by 0 days or by at least 20 days of pairs, so that no single value follows from"
    " two figures.",
)
PUBLIC_PAIRS = Constant(
    "public_pairs",
    180,
    "pairs of hours",
    "20 days of nine flying hours. A figure over fewer hours changes too much with each of them.",
)
PUBLIC_ROUNDING = Constant(
    "public_rounding",
    1.35,
    "tolerances divided by the root of the number of pairs",
    "The step to which a figure is rounded: its sum then stays uncertain by about as much as the hours that"
    " it adds up, each guessed from public values.",
)
PUBLIC_SHARE_ROUNDING = Constant(
    "public_share_rounding",
    1.5,
    "1 divided by the root of the number of pairs",
    "The same for shares, whose single cases are 0 or 1.",
)
PUBLIC_COUNT_STEP = Constant(
    "public_count_step",
    10,
    "pairs",
    "Counts of pairs are rounded to it: how many winds are strong enough for a direction depends on values.",
)

# Inference

CONFIDENCE = Constant("confidence", 0.95, "probability", "What readers expect of an interval.")
INTERVAL_DAYS = Constant(
    "interval_days",
    10,
    "days",
    "With fewer, how much successive days resemble each other cannot be estimated: no interval.",
)
PERSISTENCE_CAUTION = Constant(
    "persistence_caution",
    0.25,
    "standard errors",
    "Added to the estimated autocorrelation of successive days: too low an estimate makes an interval too"
    " narrow by more than too high a one makes it too wide.",
    "ours, by the simulation of `make prove`",
)
MOST_PERSISTENCE = Constant(
    "most_persistence",
    0.99,
    "autocorrelation",
    "At 1 no number of days is worth a second one, and no interval exists.",
)
LEAST_EFFECTIVE_DAYS = Constant(
    "least_effective_days",
    2.0,
    "days",
    "Student's t needs two values: an interval of so few is as wide as it gets, 12.7 standard errors.",
)
DIFFERENCE_WIND = Constant("difference_wind", 0.5, "km/h", "Below it no pilot would notice.")
DIFFERENCE_GUST = Constant("difference_gust", 1.0, "km/h", "Below it no pilot would notice.")
DIFFERENCE_DIRECTION = Constant("difference_direction", 5.0, "degrees", "Below it no pilot would notice.")
DIFFERENCE_TEMPERATURE = Constant("difference_temperature", 0.2, "°C", "Below it no pilot would notice.")
DIFFERENCE = {
    Parameter.WIND_SPEED: DIFFERENCE_WIND,
    Parameter.WIND_GUST: DIFFERENCE_GUST,
    Parameter.WIND_DIRECTION: DIFFERENCE_DIRECTION,
    Parameter.TEMPERATURE: DIFFERENCE_TEMPERATURE,
}
FALSE_DISCOVERIES = Constant(
    "false_discoveries",
    0.10,
    "share",
    "Of a list of winners over many sites, at most this share is expected to be chance.",
    "Benjamini & Hochberg 1995; Wilks 2016, BAMS; the level is ours",
)

# What a sample is large enough for

FIRST_LOOK_DAYS = Constant("first_look_days", 15, "days", "Fewer show nothing but that we are collecting.")
PRELIMINARY_DAYS = Constant("preliminary_days", 30, "days", "From here, a ranking if it passes the test.")
SEASON_DAYS = Constant("season_days", 90, "days", "About one season.")
DOMINANT_SEASON = Constant(
    "dominant_season", 0.5, "share of days, exceeded", "The sample then stands for that season."
)
ESTABLISHED_DAYS = Constant("established_days", 180, "days", "Half a year of days that were compared.")
ESTABLISHED_SEASONS = Constant(
    "established_seasons", 3, "seasons", "A verdict for the year must have seen most of it."
)
STRATUM_DAYS = Constant(
    "stratum_days", 20, "days", "A group with fewer is merged or hidden; a season with fewer is not counted."
)

CONSTANTS = tuple(value for value in globals().values() if isinstance(value, Constant))
