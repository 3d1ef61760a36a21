// SPDX-FileCopyrightText: 2026 the gr-ata authors
// SPDX-License-Identifier: GPL-3.0-or-later
// The Python module _messages: messages that cannot pile up before a slow subscriber. GNU Radio's
// own queues have no bound where the subscriber has a handler, and Python cannot look into them.

#include <gnuradio/basic_block.h>
#include <gnuradio/block_registry.h>

#include <pybind11/pybind11.h>

namespace py = pybind11;

namespace {

std::size_t publish(gr::basic_block &from, const pmt::pmt_t &port, const pmt::pmt_t &message,
                    std::size_t most) {
    std::size_t left_out = 0;
    for (auto rest = from.message_subscribers(port); pmt::is_pair(rest); rest = pmt::cdr(rest)) {
        const auto target = pmt::car(rest), to_port = pmt::cdr(target);
        const auto subscriber = global_block_registry.block_lookup(pmt::car(target));
        if (subscriber->nmsgs(to_port) < most)
            subscriber->_post(to_port, message);
        else
            ++left_out;
    }
    return left_out;
}

} // namespace

PYBIND11_MODULE(_messages, m) {
    m.doc() = "Bounded message queues.";
    py::module_::import("gnuradio.gr"); // the types of blocks and PMTs
    py::module_::import("pmt");
    m.def("publish", &publish, py::arg("block"), py::arg("port"), py::arg("message"),
          py::arg("most"),
          "Sends a message to each subscriber of a block's port before whom fewer than `most` wait "
          "-> how many subscribers were left out.",
          py::call_guard<py::gil_scoped_release>());
}
