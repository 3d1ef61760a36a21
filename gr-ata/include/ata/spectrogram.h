// SPDX-FileCopyrightText: 2026 the gr-ata authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <complex>
#include <cstddef>
#include <memory>
#include <vector>

namespace ata {

/// How a frame of samples is laid out as an image of mean powers.
///
/// Segment k covers samples [k hop, k hop + nfft) and belongs to row (k rows) / segments, so no row
/// is empty.
struct geometry {
    std::size_t frame_samples; ///< samples of a frame
    std::size_t rows;          ///< T, time
    std::size_t nfft;          ///< F, columns
    std::size_t hop;           ///< samples from one segment to the next
    std::size_t segments;      ///< whole segments of a frame

    /// The hop is nfft (1 - overlap), or shorter where that gives fewer segments than rows.
    /// Throws std::invalid_argument, with a sentence, for a frame too short to fill every row.
    static geometry make(std::size_t frame_samples, std::size_t rows, std::size_t nfft,
                         double overlap);
};

/// Streaming mean-power spectrogram: any chunk size in, finished frames out, every sample counted.
///
/// The image is bit for bit the same whatever the chunks were: segments are transformed and added
/// one by one, in their order. Samples that are NaN or infinite count as zero, and no pixel is ever
/// either. Nothing is allocated after construction. One thread at a time.
class spectrogram {
public:
    explicit spectrogram(const geometry &shape);
    ~spectrogram();
    spectrogram(const spectrogram &) = delete;
    spectrogram &operator=(const spectrogram &) = delete;

    const geometry &shape() const { return d_shape; }
    std::size_t position() const { return d_position; } ///< samples of the frame in hand
    bool complete() const { return d_position == d_shape.frame_samples; }

    /// Takes samples up to the end of the frame in hand; returns how many it took (0 when
    /// complete).
    std::size_t push(const std::complex<float> *samples, std::size_t count);

    /// Writes the mean |FFT|^2 of each pixel, rows x nfft floats with 0 Hz at column nfft / 2;
    /// begins the next frame. Throws std::logic_error while samples of the frame are missing.
    void finish(float *image);

    /// Drops the frame in hand; returns the samples that it held.
    std::size_t discard();

private:
    struct workspace;

    void add_segment(const std::complex<float> *samples);

    geometry d_shape;
    std::vector<std::size_t> d_counts; ///< segments per row
    std::unique_ptr<workspace> d_work;
    std::size_t d_position = 0;
    std::size_t d_carried = 0; ///< samples of the segment that earlier chunks began
    std::size_t d_done = 0;    ///< segments added
    std::size_t d_row = 0;     ///< the row of the next segment ...
    std::size_t d_in_row = 0;  ///< ... and how many it has
};

} // namespace ata
