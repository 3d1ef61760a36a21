// SPDX-FileCopyrightText: 2026 the gr-ata authors
// SPDX-License-Identifier: GPL-3.0-or-later
// The Python module _messages: what GNU Radio's Python leaves out to see how many messages wait
// before a subscriber. Its queue has no bound of its own where it has a handler.

#include <gnuradio/block.h>
#include <gnuradio/block_detail.h>
#include <gnuradio/block_registry.h>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>

namespace py = pybind11;

namespace {

// A Python subscriber may hold GNU Radio's locks and wait for the interpreter's.
using unlocked = py::call_guard<py::gil_scoped_release>;

// Null for a block that is gone or has finished: it takes no message any more.
gr::basic_block_sptr running(const pmt::pmt_t &alias) {
    gr::basic_block_sptr found;
    try {
        found = global_block_registry.block_lookup(alias);
    } catch (const std::runtime_error &) {
        return nullptr;
    }
    const auto block = std::dynamic_pointer_cast<gr::block>(found);
    return block && block->detail() && block->detail()->done() ? nullptr : found;
}

} // namespace

PYBIND11_MODULE(_messages, m) {
    m.doc() = "Subscribers of message ports, and the length of their queues.";
    py::module_::import("gnuradio.gr"); // the types of blocks and PMTs
    py::module_::import("pmt");
    m.def(
        "waiting",
        [](const pmt::pmt_t &alias, const pmt::pmt_t &port) {
            const auto block = running(alias);
            // Not under the queue's lock, which is private: a length that is being changed may be
            // off by a few dozen.
            return block ? std::optional<py::ssize_t>(block->nmsgs(port)) : std::nullopt;
        },
        py::arg("alias"), py::arg("port"), unlocked(),
        "-> messages that wait at a block's input port; None if the block has finished.");
    m.def(
        "post",
        [](const pmt::pmt_t &alias, const pmt::pmt_t &port, const pmt::pmt_t &message) {
            if (const auto block = running(alias))
                block->_post(port, message);
        },
        py::arg("alias"), py::arg("port"), py::arg("message"), unlocked(),
        "Hands a message to one block.");
}
