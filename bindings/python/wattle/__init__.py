"""Joules of a piece of Python, by the library libwattle-meter (docs/meter.md says what the figures mean).

    import wattle

    with wattle.meter() as m:
        work()
    print(m.joules, m.low, m.high, m.grade, m.source, m.scope)

`wattle.Meter` keeps one meter for many windows, which saves opening it each time and lets it measure idle:

    with wattle.Meter(source="rapl") as meter:
        meter.measure_idle(5)
        with meter.window() as first:
            work()
        print(first.joules, first.net_joules)

`@wattle.metered` prints the joules of each call of a function, or gives them to a function of yours.
"""
from __future__ import annotations

import ctypes
import ctypes.util
import functools
import json
import math
import os
import pathlib
import sys

__all__ = ["Energy", "Error", "Meter", "Window", "meter", "metered"]

_NAME = "libwattle-meter.so.0"


class Error(RuntimeError):
    """What went wrong, in one sentence that names the cure."""


def _load() -> ctypes.CDLL:
    stated = os.environ.get("WATTLE_METER_LIBRARY")
    beside = pathlib.Path(__file__).resolve().parent / _NAME
    path = stated or (str(beside) if beside.exists() else ctypes.util.find_library("wattle-meter") or _NAME)
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise Error(f"{_NAME} is not found ({error}); install Wattle, or name the library in WATTLE_METER_LIBRARY") from error
    handle, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_double
    for name, result, arguments in (
            ("wattle_version", text, []), ("wattle_last_error", text, []), ("wattle_meter_open", handle, [text]),
            ("wattle_meter_close", None, [handle]), ("wattle_meter_source", text, [handle]), ("wattle_meter_grade", text, [handle]),
            ("wattle_meter_scope", text, [handle]), ("wattle_meter_notice", text, [handle]),
            ("wattle_meter_idle", handle, [handle, number]), ("wattle_window_begin", handle, [handle]),
            ("wattle_window_end", handle, [handle, ctypes.c_int]), ("wattle_window_discard", None, [handle]),
            ("wattle_energy_json", text, [handle]), ("wattle_energy_free", None, [handle])):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


@functools.lru_cache(maxsize=None)
def _library() -> ctypes.CDLL:
    return _load()


def _checked(handle: int | None) -> int:
    if not handle:
        raise Error(_library().wattle_last_error().decode())
    return handle


class Energy:
    """Joules of a window with their 95 % interval, and where they come from."""

    def __init__(self, record: dict):
        self.record = record

    def __getattr__(self, name: str):
        record = self.__dict__.get("record")
        if record is None or name not in Energy.FIELDS:
            raise AttributeError(f"{type(self).__name__} has no {name}")
        return record.get(name, "" if name == "invalid" else None)

    FIELDS = ("joules", "low", "high", "idle_joules", "net_joules", "seconds", "grade", "source", "scope", "invalid")

    @property
    def watts(self) -> float:
        """Mean power."""
        return self.joules / self.seconds if self.seconds else math.nan

    def __str__(self) -> str:
        figure = f"{self.joules:.4g} J ({self.low:.4g} to {self.high:.4g}), {self.grade} by {self.source}"
        return f"{figure}; INVALID: {self.invalid}" if self.invalid else figure


def _energy(handle: int | None) -> dict:
    owned = _checked(handle)
    try:
        return json.loads(_library().wattle_energy_json(owned).decode())
    finally:
        _library().wattle_energy_free(owned)


class Window(Energy):
    """Joules between the beginning and the end of a `with` block; known after it."""

    def __init__(self, owner: Meter, settle: bool = True, close: bool = False):
        self._owner, self._settle, self._close, self._handle = owner, settle, close, None
        self.record = None

    def __enter__(self) -> Window:
        if self._handle is not None:
            raise Error("the window has begun already; take another one for another block")
        self.record = None
        self._handle = _checked(_library().wattle_window_begin(self._owner._opened()))
        return self

    def __exit__(self, kind, error, trace) -> None:
        handle, self._handle = self._handle, None
        try:
            self.record = _energy(_library().wattle_window_end(handle, int(self._settle)))
        finally:
            if self._close:
                self._owner.close()

    def __getattr__(self, name: str):
        if name in Energy.FIELDS and self.__dict__.get("record") is None:
            raise Error(f"{name} is known once the window has ended")
        return super().__getattr__(name)


class Meter:
    """The best source of energy there is, or the one that is asked for by the options of wattle_meter_open: source, profile,
    server, root, require_measured, gpu. `settle` has windows wait for the readings of slow meters that still speak of them."""

    def __init__(self, *, settle: bool = True, **options):
        text = json.dumps({key: os.fspath(value) if isinstance(value, os.PathLike) else value for key, value in options.items()})
        self.settle = settle
        self._handle = _checked(_library().wattle_meter_open(text.encode()))

    def _opened(self) -> int:
        if not self._handle:
            raise Error("the meter is closed; open another one")
        return self._handle

    def _text(self, function: str) -> str:
        return getattr(_library(), function)(self._opened()).decode()

    @property
    def source(self) -> str:
        return self._text("wattle_meter_source")

    @property
    def grade(self) -> str:
        return self._text("wattle_meter_grade")

    @property
    def scope(self) -> str:
        return self._text("wattle_meter_scope")

    @property
    def notice(self) -> str:
        """What was lost, and the command that gets it back."""
        return self._text("wattle_meter_notice")

    def measure_idle(self, seconds: float = 5) -> Energy:
        """The machine as it is now; `net_joules` of later windows are above it."""
        return Energy(_energy(_library().wattle_meter_idle(self._opened(), seconds)))

    def window(self) -> Window:
        return Window(self, self.settle)

    def close(self) -> None:
        handle, self._handle = getattr(self, "_handle", None), None
        if handle:
            _library().wattle_meter_close(handle)

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, kind, error, trace) -> None:
        self.close()

    def __del__(self):
        if not sys.is_finalizing():
            self.close()


def meter(**options) -> Window:
    """One window of a meter of its own, for `with`. Options: those of Meter."""
    owner = Meter(**options)
    return Window(owner, owner.settle, close=True)


def metered(function=None, *, report=None, **options):
    """Has each call of a function measured. `report(name, energy)` gets the figure; without, it goes to standard error."""
    def decorate(wrapped):
        owner = []

        @functools.wraps(wrapped)
        def measured(*arguments, **named):
            if not owner:
                owner.append(Meter(**options))
            window = owner[0].window()
            try:
                with window:
                    return wrapped(*arguments, **named)
            finally:
                if window.record is not None:
                    if report:
                        report(wrapped.__qualname__, window)
                    else:
                        print(f"{wrapped.__qualname__}: {window}", file=sys.stderr)
        return measured
    return decorate(function) if function else decorate
