// SPDX-FileCopyrightText: 2026 the gr-ata authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include <ata/spectrogram.h>

#include <algorithm>
#include <cmath>
#include <fftw3.h>
#include <mutex>
#include <stdexcept>
#include <string>
#include <volk/volk.h>

namespace ata {
namespace {

std::mutex &planner() // FFTW plans one at a time, in the whole process
{
    static std::mutex mutex;
    return mutex;
}

/// No receiver gives samples beyond this, and the power of a frame of them would not fit a float.
constexpr float LARGEST_SAMPLE = 1e14f;
constexpr float LARGEST_POWER = 1e30f;

template <typename T> struct volk_deleter {
    void operator()(T *p) const { volk_free(p); }
};
template <typename T> using aligned = std::unique_ptr<T[], volk_deleter<T>>;

template <typename T> aligned<T> make_aligned(std::size_t count) {
    auto *p = static_cast<T *>(volk_malloc(count * sizeof(T), volk_get_alignment()));
    if (!p)
        throw std::bad_alloc();
    return aligned<T>(p);
}

} // namespace

geometry geometry::make(std::size_t frame_samples, std::size_t rows, std::size_t nfft,
                        double overlap) {
    if (rows == 0 || nfft < 2 || nfft % 2 || !(overlap >= 0 && overlap < 1))
        throw std::invalid_argument(
            "a spectrogram needs rows, an even number of columns and an overlap in [0, 1)");
    if (frame_samples < nfft + rows - 1)
        throw std::invalid_argument("a frame of " + std::to_string(frame_samples) +
                                    " samples is too short for " + std::to_string(rows) +
                                    " rows of " + std::to_string(nfft) + " columns");
    const auto segments = [&](std::size_t hop) { return (frame_samples - nfft) / hop + 1; };
    auto hop = std::max<std::size_t>(1, std::llround(nfft * (1 - overlap)));
    if (segments(hop) < rows)
        hop = rows > 1 ? std::max<std::size_t>(1, (frame_samples - nfft) / (rows - 1)) : hop;
    return {frame_samples, rows, nfft, hop, segments(hop)};
}

struct spectrogram::transform {
    explicit transform(std::size_t nfft)
        : window(make_aligned<float>(nfft)), in(make_aligned<std::complex<float>>(nfft)),
          out(make_aligned<std::complex<float>>(nfft)), power(make_aligned<float>(nfft)) {
        for (std::size_t i = 0; i < nfft; ++i) // periodic Hann
            window[i] = static_cast<float>(0.5 - 0.5 * std::cos(2 * M_PI * i / nfft));
        const std::lock_guard<std::mutex> lock(planner());
        // One segment a call: it stays in the first-level cache. FFTW_MEASURE would be no faster
        // here, and might choose another algorithm, with other roundings, in the next run.
        plan = fftwf_plan_dft_1d(
            static_cast<int>(nfft), reinterpret_cast<fftwf_complex *>(in.get()),
            reinterpret_cast<fftwf_complex *>(out.get()), FFTW_FORWARD, FFTW_ESTIMATE);
        if (!plan)
            throw std::runtime_error("FFTW made no plan");
    }
    ~transform() {
        const std::lock_guard<std::mutex> lock(planner());
        fftwf_destroy_plan(plan);
    }

    aligned<float> window;
    aligned<std::complex<float>> in, out;
    aligned<float> power;
    fftwf_plan plan;
};

spectrogram::spectrogram(const geometry &shape)
    : d_shape(shape), d_fft(std::make_unique<transform>(shape.nfft)), d_carry(shape.nfft),
      d_sum(shape.rows * shape.nfft), d_counts(shape.rows) {
    for (std::size_t k = 0; k < shape.segments; ++k)
        ++d_counts[k * shape.rows / shape.segments];
}

spectrogram::~spectrogram() = default;

std::size_t spectrogram::push(const std::complex<float> *samples, std::size_t count) {
    const auto nfft = d_shape.nfft, hop = d_shape.hop;
    const auto taken = std::min(count, d_shape.frame_samples - d_position);
    std::size_t at = 0; // samples of this chunk that are in the carry or behind the segment in hand
    while (d_done < d_shape.segments) {
        if (d_carried == 0 && taken - at >= nfft) {
            add_segment(samples + at);
            at += hop;
            continue;
        }
        const auto step = std::min(nfft - d_carried, taken - at);
        std::copy_n(samples + at, step, d_carry.begin() + d_carried);
        d_carried += step;
        at += step;
        if (d_carried < nfft)
            break;
        add_segment(d_carry.data());
        d_carried -= hop;
        if (at >= d_carried) { // the chunk holds all that is carried: go on there
            at -= d_carried;
            d_carried = 0;
        } else {
            std::copy_n(d_carry.begin() + hop, d_carried, d_carry.begin());
        }
    }
    d_position += taken;
    return taken;
}

void spectrogram::add_segment(const std::complex<float> *samples) {
    const auto nfft = d_shape.nfft;
    auto &fft = *d_fft;
    volk_32fc_32f_multiply_32fc(fft.in.get(), samples, fft.window.get(), nfft);
    fftwf_execute(fft.plan);
    volk_32fc_magnitude_squared_32f(fft.power.get(), fft.out.get(), nfft);
    if (!(fft.power[0] < LARGEST_POWER)) { // a sample that is no number reaches every bin, so one
                                           // bin tells of all of them
        for (std::size_t i = 0; i < nfft; ++i) {
            const bool good = std::fabs(samples[i].real()) < LARGEST_SAMPLE &&
                              std::fabs(samples[i].imag()) < LARGEST_SAMPLE;
            fft.in[i] = good ? samples[i] * fft.window[i] : std::complex<float>{};
        }
        fftwf_execute(fft.plan);
        volk_32fc_magnitude_squared_32f(fft.power.get(), fft.out.get(), nfft);
    }
    auto *row = d_sum.data() + d_done * d_shape.rows / d_shape.segments * nfft;
    volk_32f_x2_add_32f(row, row, fft.power.get(), nfft);
    ++d_done;
}

void spectrogram::finish(float *image) {
    const auto nfft = d_shape.nfft, half = nfft / 2;
    for (std::size_t r = 0; r < d_shape.rows; ++r) {
        const float *sum = d_sum.data() + r * nfft;
        const float scale = 1.0f / static_cast<float>(d_counts[r]);
        volk_32f_s32f_multiply_32f(image + r * nfft, sum + half, scale, half);
        volk_32f_s32f_multiply_32f(image + r * nfft + half, sum, scale, half);
    }
    discard();
}

std::size_t spectrogram::discard() {
    const auto held = d_position;
    std::fill(d_sum.begin(), d_sum.end(), 0.0f);
    d_position = d_done = d_carried = 0;
    return held;
}

} // namespace ata
