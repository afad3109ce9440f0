r"""Correlation and convolution of signals and pictures: by definition, as a matrix, by FFT, by overlap-save.

Correlation slides a kernel over a signal, convolution the kernel turned round::

    correlate:  y[n] = Σ_m x[n + m] w[m]            convolve:  y[n] = Σ_m x[n - m] w[m]

Every method first continues the signal over its border as far as the mode asks, and then takes the windows that lie
inside it. So the methods differ in cost alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, sparse

from scs.errors import OptionError, ShapeError

Array = NDArray[np.float64]
Spectra = NDArray[np.complex128]
Size = tuple[int, ...]

Mode = Literal["valid", "same", "full"]
Border = Literal["zero", "circular", "reflecting"]
Method = Literal["definition", "matrix", "fft", "overlap-save"]

MODES: tuple[Mode, ...] = ("valid", "same", "full")
BORDERS: tuple[Border, ...] = ("zero", "circular", "reflecting")
METHODS: tuple[Method, ...] = ("definition", "matrix", "fft", "overlap-save")
CALLS = 2.0**15  # what calling a transform takes, in its own operations; measured by `scs lab convolution`
_PADDING: dict[Border, str] = {"zero": "constant", "circular": "wrap", "reflecting": "symmetric"}


def correlate(
    x: ArrayLike, w: ArrayLike, mode: Mode = "same", border: Border = "zero", method: Method = "definition"
) -> Array:
    """Correlate a signal or a picture with kernels that slide over it.

    Args:
        x: ``(L,)`` or ``(H, W)``; with channels ``(C, L)`` or ``(C, H, W)``.
        w: a kernel ``(l,)`` or ``(h, w)``; with channels several, ``(K, C, l)`` or ``(K, C, h, w)``.
        mode: ``valid``: only windows inside x; ``same``: as many as x has samples, entry n for the window whose sample
            ``l // 2`` is n; ``full``: every window with at least one sample in x.
        border: what x is beyond its border: 0, itself again from its other end, or its mirror image (the last sample
            twice). It does not matter to ``valid``.
        method: how to compute it; what comes out is the same up to rounding.

    Returns:
        ``(L',)`` or ``(H', W')``; with channels ``(K, L')`` or ``(K, H', W')``, summed over C. With a kernel of l
        samples ``L'`` is ``L - l + 1``, ``L`` or ``L + l - 1``.

    Raises:
        ShapeError: x and w do not fit each other; the message gives both shapes.
        OptionError: there is no such mode, border or method.

    Example:
        >>> correlate([1, 2, 3, 4], [1, 0, -1], "valid")
        array([-2., -2.])
        >>> correlate([1, 2, 3, 4], [1, 0, -1], "same", "circular")
        array([ 2., -2., -2.,  2.])
    """
    signal, kernels = np.asarray(x, np.float64), np.asarray(w, np.float64)
    channels = _has_channels(signal, kernels)
    if not channels:
        signal, kernels = signal[None], kernels[None, None]
    _check_fit(signal.shape[1:], kernels.shape[2:], mode)
    _check_name("border", border, BORDERS)
    _check_name("method", method, METHODS)
    if method == "matrix":
        matrix = _matrix(kernels, signal.shape[1:], mode, border)
        answer = (matrix @ signal.ravel()).reshape(-1, *output_size(signal.shape[1:], kernels.shape[2:], mode))
    else:
        answer = _SLIDING[method](_continued(signal, kernels.shape[2:], mode, border), kernels)
    return answer if channels else np.asarray(answer[0])


def convolve(
    x: ArrayLike, w: ArrayLike, mode: Mode = "same", border: Border = "zero", method: Method = "definition"
) -> Array:
    """Convolve a signal or a picture: correlate it with flipped kernels; see :func:`correlate`.

    With zeros beyond the border and ``full`` it is the product of polynomials: commutative and associative.

    Example:
        >>> convolve([1, 1], [1, 2, 1], "full")
        array([1., 3., 3., 1.])
    """
    signal, kernels = np.asarray(x, np.float64), np.asarray(w, np.float64)
    axes = signal.ndim - _has_channels(signal, kernels)
    return correlate(signal, np.flip(kernels, tuple(range(-axes, 0))), mode, border, method)


def correlation_matrix(w: ArrayLike, size: Size, mode: Mode = "same", border: Border = "zero") -> sparse.csr_array:
    """Make the sparse matrix that correlates every signal of a size with kernels.

    Of one dimension and with zeros beyond the border it is Toeplitz, with a circular one and ``same`` circulant; of two
    it is made of such blocks. A row has as many entries as a kernel: locality. Every row of a kernel has the same ones:
    shared weights.

    Args:
        w: see :func:`correlate`.
        size: ``(L,)`` or ``(H, W)`` of the signals, without channels.
        mode: see :func:`correlate`.
        border: likewise.

    Returns:
        ``(K * H' * W', C * H * W)``, float64: times a signal's samples row after row, the answer's row after row.

    Raises:
        ShapeError: the kernels do not fit the size.
        OptionError: there is no such mode or border.

    Example:
        >>> correlation_matrix([1, 2], (3,), "valid").toarray()
        array([[1., 2., 0.],
               [0., 1., 2.]])
    """
    kernels = np.asarray(w, np.float64)
    if kernels.ndim == len(size):
        kernels = kernels[None, None]
    if kernels.ndim != len(size) + 2:
        raise ShapeError(f"kernels are ({len(size)} sizes,) or (K, C, {len(size)} sizes) but {kernels.shape} came")
    _check_fit(size, kernels.shape[2:], mode)
    _check_name("border", border, BORDERS)
    return _matrix(kernels, size, mode, border)


def output_size(size: Size, kernel: Size, mode: Mode) -> Size:
    """Count the windows along each axis."""
    grown = {"valid": -1, "same": 0, "full": 1}[mode]
    return tuple(have + grown * (taps - 1) for have, taps in zip(size, kernel, strict=True))


def block_length(taps: int, places: int, axes: int) -> int:
    """Choose the length of an overlap-save block along one axis: the power of two with the least cost a place.

    A block of B samples costs about ``B * log2(2 * B)``, and ``CALLS`` to be called, which the axes share. It answers
    for ``B - taps + 1`` places.

    Args:
        taps: of the kernel along that axis.
        places: to be answered for along it.
        axes: of the signal.
    """
    calls = CALLS ** (1 / axes)
    lengths = (1 << bits for bits in range((taps - 1).bit_length(), (places + taps - 2).bit_length() + 1))
    return min(lengths, key=lambda length: (length * math.log2(2 * length) + calls) / (length - taps + 1))


def _has_channels(x: Array, w: Array) -> bool:
    """Whether these are kernels with channels."""
    if x.ndim in (1, 2) and w.ndim == x.ndim:
        return False
    if x.ndim in (2, 3) and w.ndim == x.ndim + 1 and w.shape[1] == x.shape[0]:
        return True
    raise ShapeError(
        f"x and w are (L,) and (l,), (H, W) and (h, w), (C, L) and (K, C, l), or (C, H, W) and (K, C, h, w); "
        f"{x.shape} and {w.shape} came"
    )


def _check_fit(size: Size, kernel: Size, mode: str) -> None:
    _check_name("mode", mode, MODES)
    if not all(size) or not all(kernel):
        raise ShapeError(f"a signal and a kernel have at least one sample along each axis; {size} and {kernel} came")
    if mode == "valid" and any(taps > have for taps, have in zip(kernel, size, strict=True)):
        raise ShapeError(f"kernel is {kernel} but signal is {size}; in 'valid' a kernel must fit inside its signal")


def _check_name(what: str, name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        raise OptionError(f"no {what} '{str(name)[:60]}'; there are: {', '.join(names)}")


def _continued(x: NDArray[Any], kernel: Size, mode: Mode, border: Border, outside: float = 0) -> NDArray[Any]:
    """A signal ``(C, *size)`` padded as far beyond its border as the windows of a mode reach."""
    if mode == "valid":
        return x
    widths = [(taps // 2, taps - 1 - taps // 2) if mode == "same" else (taps - 1, taps - 1) for taps in kernel]
    options: dict[str, Any] = {"constant_values": outside} if border == "zero" else {}
    return np.pad(x, [(0, 0), *widths], _PADDING[border], **options)  # type: ignore[call-overload, no-any-return]


def _by_definition(x: Array, w: Array) -> Array:
    """One tap of the kernels after the other, at every place at once."""
    places = output_size(x.shape[1:], w.shape[2:], "valid")
    answer = np.zeros((w.shape[0], *places))
    for tap, weights in _taps(w):
        answer += np.tensordot(weights, x[_windows(tap, places)], 1)
    return answer


def _by_fft(x: Array, w: Array) -> Array:
    """One transform of the whole; what goes round at its end lies outside the places that are kept."""
    places = output_size(x.shape[1:], w.shape[2:], "valid")
    lengths = [fft.next_fast_len(length, real=True) for length in x.shape[1:]]
    return _by_spectra(x, _spectra(w, lengths), lengths, places)


def _by_overlap_save(x: Array, w: Array) -> Array:
    """Blocks that overlap by the kernel less one sample, each transformed by itself; whole windows are kept of each."""
    taps = w.shape[2:]
    places = output_size(x.shape[1:], taps, "valid")
    lengths = [block_length(*each, len(taps)) for each in zip(taps, places, strict=True)]
    steps = [length - many + 1 for length, many in zip(lengths, taps, strict=True)]
    spectra = _spectra(w, lengths)
    answer = np.empty((w.shape[0], *places))
    for first in product(*(range(0, many, step) for many, step in zip(places, steps, strict=True))):
        kept = [min(step, many - start) for step, many, start in zip(steps, places, first, strict=True)]
        answer[_windows(first, kept)] = _by_spectra(x[_windows(first, lengths)], spectra, lengths, kept)
    return answer


def _spectra(w: Array, lengths: list[int]) -> Spectra:
    transformed: Spectra = fft.rfftn(w, lengths, axes=range(2, w.ndim))
    return transformed.conj()


def _by_spectra(x: Array, spectra: Spectra, lengths: list[int], places: Sequence[int]) -> Array:
    axes = range(1, x.ndim)
    products = np.einsum("c...,kc...->k...", fft.rfftn(x, lengths, axes=axes), spectra)
    answer: Array = fft.irfftn(products, lengths, axes=axes)
    return answer[_windows([0] * len(places), places)]


def _matrix(w: Array, size: Size, mode: Mode, border: Border) -> sparse.csr_array:
    """Pad the indices of the samples as the samples would be, so that each tap reads the index of its sample."""
    samples = math.prod(size)
    numbers = _continued(np.arange(samples).reshape(1, *size), w.shape[2:], mode, border, outside=-1)
    places = output_size(size, w.shape[2:], mode)
    of_taps = []
    for tap, weights in _taps(w):
        read = numbers[_windows(tap, places)].ravel()
        inside = np.flatnonzero(read >= 0)
        one = sparse.csr_array((np.ones(inside.size), (inside, read[inside])), shape=(read.size, samples))
        of_taps.append(sparse.kron(weights, one, format="csr"))
    return sparse.csr_array(sum(of_taps[1:], of_taps[0]))


def _windows(first: Sequence[int], many: Sequence[int]) -> tuple[slice, ...]:
    """So many samples along each axis, of every channel."""
    return (slice(None), *(slice(start, start + length) for start, length in zip(first, many, strict=True)))


def _taps(w: Array) -> Iterator[tuple[Size, Array]]:
    """Where each tap of the kernels is, and its weights ``(K, C)``."""
    return zip(np.ndindex(*w.shape[2:]), np.moveaxis(w.reshape(*w.shape[:2], -1), 2, 0), strict=True)


_SLIDING: dict[Method, Callable[[Array, Array], Array]] = {
    "definition": _by_definition,
    "fft": _by_fft,
    "overlap-save": _by_overlap_save,
}
