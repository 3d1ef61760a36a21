// SPDX-FileCopyrightText: 2026 the gr-ata authors
// SPDX-License-Identifier: GPL-3.0-or-later
// What the kernel is measured against: the same transform as a bare loop over FFTW and VOLK,
// nothing around it.

#include <complex>
#include <fftw3.h>
#include <pybind11/complex.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <volk/volk.h>

namespace py = pybind11;

using samples_array = py::array_t<std::complex<float>, py::array::c_style>;
using floats = py::array_t<float, py::array::c_style>;

/// Adds |FFT|^2 of every windowed segment of the samples to one row of sums.
static void loop(const samples_array &samples, const floats &window, std::size_t hop, floats &sum) {
    const auto nfft = static_cast<std::size_t>(window.size());
    auto *in = fftwf_alloc_complex(nfft);
    auto *out = fftwf_alloc_complex(nfft);
    auto *power = fftwf_alloc_real(nfft);
    const auto plan =
        fftwf_plan_dft_1d(static_cast<int>(nfft), in, out, FFTW_FORWARD, FFTW_MEASURE);
    const auto *data = samples.data();
    auto *row = sum.mutable_data();
    const auto count = static_cast<std::size_t>(samples.size());
    for (std::size_t at = 0; at + nfft <= count; at += hop) {
        volk_32fc_32f_multiply_32fc(reinterpret_cast<lv_32fc_t *>(in), data + at, window.data(),
                                    nfft);
        fftwf_execute(plan);
        volk_32fc_magnitude_squared_32f(power, reinterpret_cast<lv_32fc_t *>(out), nfft);
        volk_32f_x2_add_32f(row, row, power, nfft);
    }
    fftwf_destroy_plan(plan);
    fftwf_free(in);
    fftwf_free(out);
    fftwf_free(power);
}

PYBIND11_MODULE(_baseline, m) { m.def("loop", &loop); }
