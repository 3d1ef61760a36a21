// SPDX-FileCopyrightText: 2026 the gr-ata authors
// SPDX-License-Identifier: GPL-3.0-or-later
// The Python module _kernel: numpy arrays in and out, the interpreter's lock released while samples
// are pushed, which is where the time goes.

#include <ata/spectrogram.h>

#include <pybind11/complex.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

namespace py = pybind11;

using samples_array = py::array_t<std::complex<float>, py::array::c_style>;

PYBIND11_MODULE(_kernel, m) {
    m.doc() = "Streaming mean-power spectrogram (FFTW).";

    py::class_<ata::geometry>(m, "Geometry",
                              "Layout of a frame: frame_samples, rows, nfft, hop, segments.")
        .def(py::init(&ata::geometry::make), py::arg("frame_samples"), py::arg("rows"),
             py::arg("nfft"), py::arg("overlap"))
        .def_readonly("frame_samples", &ata::geometry::frame_samples)
        .def_readonly("rows", &ata::geometry::rows)
        .def_readonly("nfft", &ata::geometry::nfft)
        .def_readonly("hop", &ata::geometry::hop)
        .def_readonly("segments", &ata::geometry::segments);

    py::class_<ata::spectrogram>(m, "Spectrogram",
                                 "Samples in chunks of any size to frames of mean power.")
        .def(py::init<const ata::geometry &>(), py::arg("geometry"))
        .def_property_readonly("position", &ata::spectrogram::position)
        .def_property_readonly("complete", &ata::spectrogram::complete)
        .def(
            "push",
            [](ata::spectrogram &self, const samples_array &samples) {
                if (samples.ndim() != 1)
                    throw std::invalid_argument("samples come in one dimension");
                const auto *data = samples.data();
                const auto count = static_cast<std::size_t>(samples.size());
                const py::gil_scoped_release release;
                return self.push(data, count);
            },
            py::arg("samples").noconvert(),
            "complex64 [n], contiguous -> samples taken, up to the end of the frame in hand.")
        .def(
            "finish",
            [](ata::spectrogram &self) {
                py::array_t<float> image({self.shape().rows, self.shape().nfft});
                self.finish(image.mutable_data());
                return image;
            },
            "-> float32 [rows, nfft] mean |FFT|^2, 0 Hz at column nfft / 2; the next frame begins. "
            "RuntimeError while samples of the frame are missing.")
        .def("discard", &ata::spectrogram::discard,
             "Drops the frame in hand -> samples that it held.");
}
