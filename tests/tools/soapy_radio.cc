// SPDX-FileCopyrightText: 2026 the gr-ata authors
// SPDX-License-Identifier: GPL-3.0-or-later
//
// A SoapySDR driver without hardware: a band of noise on the air, a receiver with two sample rates,
// and faults. Device arguments: driver=atatest, fault=none|stall|error|overflow|tune|zero, after=N
// (when the fault comes: after N samples; "tune", which throws, and "zero", which says 0 Hz as
// librtlsdr does without its dongle, after N changes of frequency).
#include <SoapySDR/Device.hpp>
#include <SoapySDR/Formats.hpp>
#include <SoapySDR/Registry.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <complex>
#include <random>
#include <stdexcept>
#include <thread>

namespace {

using clock = std::chrono::steady_clock;

class radio : public SoapySDR::Device {
public:
    explicit radio(const SoapySDR::Kwargs &args) {
        if (args.count("fault"))
            d_fault = args.at("fault");
        if (args.count("after"))
            d_after = std::stoll(args.at("after"));
    }

    std::string getDriverKey() const override { return "atatest"; }
    size_t getNumChannels(const int direction) const override {
        return direction == SOAPY_SDR_RX ? 1 : 0;
    }

    std::vector<double> listSampleRates(int, size_t) const override { return {1e6, 2e6}; }
    void setSampleRate(int, size_t, const double rate) override {
        d_rate = rate < 1.5e6 ? 1e6 : 2e6;
    }
    double getSampleRate(int, size_t) const override { return d_rate; }

    std::vector<std::string> listFrequencies(int, size_t) const override { return {"RF"}; }
    SoapySDR::RangeList getFrequencyRange(int, size_t, const std::string &) const override {
        return {SoapySDR::Range(70e6, 6e9)};
    }
    SoapySDR::RangeList getFrequencyRange(int, size_t) const override {
        return {SoapySDR::Range(70e6, 6e9)};
    }
    void setFrequency(int, size_t, const double freq, const SoapySDR::Kwargs &) override {
        tune(freq);
    }
    void setFrequency(int, size_t, const std::string &, const double freq,
                      const SoapySDR::Kwargs &) override {
        tune(freq);
    }
    double getFrequency(int, size_t) const override { return d_freq; }
    double getFrequency(int, size_t, const std::string &) const override { return d_freq; }

    std::vector<std::string> listGains(int, size_t) const override { return {"LNA", "VGA"}; }
    SoapySDR::Range getGainRange(int, size_t, const std::string &) const override {
        return SoapySDR::Range(0, 30);
    }
    void setGain(int, size_t, const std::string &name, const double gain) override {
        (name == "LNA" ? d_lna : d_vga) = gain;
    }
    double getGain(int, size_t, const std::string &name) const override {
        return name == "LNA" ? d_lna : d_vga;
    }

    std::vector<std::string> getStreamFormats(int, size_t) const override {
        return {SOAPY_SDR_CF32};
    }
    SoapySDR::Stream *setupStream(int, const std::string &, const std::vector<size_t> &,
                                  const SoapySDR::Kwargs &) override {
        return reinterpret_cast<SoapySDR::Stream *>(this);
    }
    int activateStream(SoapySDR::Stream *, int, long long, size_t) override {
        d_begun = clock::now();
        return 0;
    }
    size_t getStreamMTU(SoapySDR::Stream *) const override { return 8192; }

    int readStream(SoapySDR::Stream *, void *const *buffs, size_t wanted, int &flags, long long &,
                   long timeout_us) override {
        flags = 0;
        if (d_sent >= d_after && d_fault == "stall") {
            std::this_thread::sleep_for(std::chrono::microseconds(timeout_us));
            return SOAPY_SDR_TIMEOUT;
        }
        if (d_sent >= d_after && d_fault == "error")
            return SOAPY_SDR_STREAM_ERROR;
        if (d_sent >= d_after && d_fault == "overflow") {
            d_fault = "none";
            return SOAPY_SDR_OVERFLOW;
        }
        const size_t count = std::min<size_t>(wanted, 8192);
        auto *out = static_cast<std::complex<float> *>(buffs[0]);
        for (size_t i = 0; i < count; ++i) {
            // Two poles make a band at the centre of the receiver's out of white noise.
            const std::complex<float> white(d_normal(d_random), d_normal(d_random));
            d_first += 0.5f * (white - d_first);
            d_second += 0.5f * (d_first - d_second);
            out[i] = 0.1f * d_second;
        }
        d_sent += static_cast<long long>(count);
        std::this_thread::sleep_until(d_begun +
                                      std::chrono::duration_cast<clock::duration>(
                                          std::chrono::duration<double>(d_sent / d_rate)));
        return static_cast<int>(count);
    }

private:
    void tune(const double freq) {
        const bool gone = freq != d_freq && d_changes++ >= d_after;
        if (gone && d_fault == "tune")
            throw std::runtime_error("LIBUSB_ERROR_NO_DEVICE");
        d_freq = gone && d_fault == "zero" ? 0 : freq;
    }

    std::string d_fault = "none";
    long long d_after = 0, d_sent = 0, d_changes = 0;
    double d_rate = 1e6, d_freq = 100e6, d_lna = 0, d_vga = 0;
    clock::time_point d_begun;
    std::mt19937 d_random{1};
    std::normal_distribution<float> d_normal;
    std::complex<float> d_first, d_second;
};

SoapySDR::KwargsList find(const SoapySDR::Kwargs &args) {
    SoapySDR::Kwargs found = args;
    found["driver"] = "atatest";
    return {found};
}

SoapySDR::Device *make(const SoapySDR::Kwargs &args) { return new radio(args); }

SoapySDR::Registry registered("atatest", &find, &make, SOAPY_SDR_ABI_VERSION);

} // namespace
