// SPDX-FileCopyrightText: 2026 the gr-ata authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include <ata/spectrogram.h>

#include <algorithm>
#include <cmath>
#include <fftw3.h>
#include <map>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>

// Loops over floats, compiled for AVX2 too and chosen when loaded. VOLK's are slower here, its sum
// of powers takes two passes, and some leave the calling thread flushing subnormal numbers to zero.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define ATA_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define ATA_CLONES
#endif

namespace ata {
namespace {

// Beyond what any receiver gives; within what sums of powers in single precision hold.
constexpr float LARGEST_SAMPLE = 1e14f;
constexpr float LARGEST_POWER = 1e30f;

struct fftw_deleter {
    void operator()(void *p) const { fftwf_free(p); }
};
template <typename T> using aligned = std::unique_ptr<T[], fftw_deleter>;

template <typename T> aligned<T> make_aligned(std::size_t count) {
    auto *p = static_cast<T *>(fftwf_malloc(count * sizeof(T)));
    if (!p)
        throw std::bad_alloc();
    return aligned<T>(p);
}

fftwf_complex *fftw(std::complex<float> *p) { return reinterpret_cast<fftwf_complex *>(p); }

ATA_CLONES void multiply(float *__restrict product, const float *__restrict a,
                         const float *__restrict b, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
        product[i] = a[i] * b[i];
}

/// Adds |spectrum|^2, of bins complex numbers, to sum.
ATA_CLONES void add_power(float *__restrict sum, const float *__restrict spectrum,
                          std::size_t bins) {
    for (std::size_t i = 0; i < bins; ++i)
        sum[i] += spectrum[2 * i] * spectrum[2 * i] + spectrum[2 * i + 1] * spectrum[2 * i + 1];
}

/// The transform of this length, planned once in a process: FFTW plans one at a time, so plans
/// made (and destroyed) at every retune could meet those of other blocks.
fftwf_plan plan_of(std::size_t nfft, std::complex<float> *in, std::complex<float> *out) {
    static std::mutex mutex;
    static std::map<std::size_t, fftwf_plan> plans;
    const std::lock_guard<std::mutex> lock(mutex);
    auto &plan = plans[nfft];
    // One segment a call stays in the first-level cache; batches are slower. FFTW_MEASURE is some
    // 10 % faster, but may choose another algorithm, with other roundings, in the next run: the
    // same recording has to give the same records.
    if (!plan)
        plan = fftwf_plan_dft_1d(static_cast<int>(nfft), fftw(in), fftw(out), FFTW_FORWARD,
                                 FFTW_ESTIMATE);
    if (!plan)
        throw std::runtime_error("FFTW has no plan for " + std::to_string(nfft) + " columns");
    return plan;
}

} // namespace

geometry geometry::make(std::size_t frame_samples, std::size_t rows, std::size_t nfft,
                        double overlap) {
    if (rows == 0 || nfft < 2 || nfft % 2 || !(overlap >= 0 && overlap < 1))
        throw std::invalid_argument(
            "a spectrogram needs rows, an even number of columns and an overlap in [0, 1)");
    if (nfft > frame_samples || rows > frame_samples - nfft + 1)
        throw std::invalid_argument("a frame of " + std::to_string(frame_samples) +
                                    " samples is too short for " + std::to_string(rows) +
                                    " rows of " + std::to_string(nfft) + " columns");
    const auto segments = [&](std::size_t hop) { return (frame_samples - nfft) / hop + 1; };
    auto hop = std::max<std::size_t>(1, std::llround(nfft * (1 - overlap)));
    if (segments(hop) < rows)
        hop = (frame_samples - nfft) / (rows - 1);
    return {frame_samples, rows, nfft, hop, segments(hop)};
}

struct spectrogram::workspace {
    explicit workspace(const geometry &shape)
        : window(make_aligned<float>(2 * shape.nfft)),
          carry(make_aligned<std::complex<float>>(shape.nfft)),
          in(make_aligned<std::complex<float>>(shape.nfft)),
          out(make_aligned<std::complex<float>>(shape.nfft)),
          sum(make_aligned<float>(shape.rows * shape.nfft)),
          plan(plan_of(shape.nfft, in.get(), out.get())) {
        for (std::size_t i = 0; i < shape.nfft; ++i) // periodic Hann
            window[2 * i] = window[2 * i + 1] =
                static_cast<float>(0.5 - 0.5 * std::cos(2 * M_PI * i / shape.nfft));
    }

    void transform() { fftwf_execute_dft(plan, fftw(in.get()), fftw(out.get())); }

    aligned<float> window; ///< each weight twice, for a sample's two parts
    aligned<std::complex<float>> carry, in, out;
    aligned<float> sum; ///< rows x nfft, in FFT order
    fftwf_plan plan;
};

spectrogram::spectrogram(const geometry &shape)
    : d_shape(shape), d_counts(shape.rows), d_work(std::make_unique<workspace>(shape)) {
    for (std::size_t k = 0; k < shape.segments; ++k)
        ++d_counts[k * shape.rows / shape.segments];
    discard();
}

spectrogram::~spectrogram() = default;

std::size_t spectrogram::push(const std::complex<float> *samples, std::size_t count) {
    const auto nfft = d_shape.nfft, hop = d_shape.hop;
    const auto taken = std::min(count, d_shape.frame_samples - d_position);
    auto *carry = d_work->carry.get();
    std::size_t at = 0; // where the segment in hand begins, or goes on after what is carried
    while (d_done < d_shape.segments) {
        if (d_carried == 0 && taken - at >= nfft) {
            add_segment(samples + at);
            at += hop;
            continue;
        }
        const auto step = std::min(nfft - d_carried, taken - at);
        std::copy_n(samples + at, step, carry + d_carried);
        d_carried += step;
        at += step;
        if (d_carried < nfft)
            break;
        add_segment(carry);
        d_carried -= hop;
        if (at >= d_carried) { // the chunk holds all that is carried: go on there
            at -= d_carried;
            d_carried = 0;
        } else {
            std::copy_n(carry + hop, d_carried, carry);
        }
    }
    d_position += taken;
    return taken;
}

void spectrogram::add_segment(const std::complex<float> *samples) {
    const auto nfft = d_shape.nfft;
    auto &work = *d_work;
    multiply(reinterpret_cast<float *>(work.in.get()), reinterpret_cast<const float *>(samples),
             work.window.get(), 2 * nfft);
    work.transform();
    // One NaN or infinite sample makes every bin NaN or infinite, so one bin tells.
    if (!(std::norm(work.out[0]) < LARGEST_POWER)) {
        for (std::size_t i = 0; i < nfft; ++i) {
            const bool good = std::fabs(samples[i].real()) < LARGEST_SAMPLE &&
                              std::fabs(samples[i].imag()) < LARGEST_SAMPLE;
            work.in[i] = good ? samples[i] * work.window[2 * i] : std::complex<float>{};
        }
        work.transform();
    }
    add_power(work.sum.get() + d_row * nfft, reinterpret_cast<const float *>(work.out.get()), nfft);
    ++d_done;
    if (++d_in_row == d_counts[d_row]) {
        ++d_row;
        d_in_row = 0;
    }
}

void spectrogram::finish(float *image) {
    if (!complete())
        throw std::logic_error("the frame has " + std::to_string(d_position) + " of its " +
                               std::to_string(d_shape.frame_samples) + " samples");
    const auto nfft = d_shape.nfft, half = nfft / 2;
    for (std::size_t r = 0; r < d_shape.rows; ++r) {
        const float *sum = d_work->sum.get() + r * nfft;
        const float scale = 1.0f / static_cast<float>(d_counts[r]);
        const auto mean = [scale](float total) { // of finite samples too a power may overflow
            const float power = total * scale;
            return power < LARGEST_POWER ? power : LARGEST_POWER;
        };
        image = std::transform(sum + half, sum + nfft, image, mean);
        image = std::transform(sum, sum + half, image, mean);
    }
    discard();
}

std::size_t spectrogram::discard() {
    const auto held = d_position;
    std::fill_n(d_work->sum.get(), d_shape.rows * d_shape.nfft, 0.0f);
    d_position = d_carried = d_done = d_row = d_in_row = 0;
    return held;
}

} // namespace ata
