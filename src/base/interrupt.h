#pragma once

namespace wattle::inline base {

/// Ctrl-C (SIGINT, SIGTERM) sets a flag; long work asks for it between steps and unwinds by exception, so
/// that temporary files go and finished rows stay. A second Ctrl-C ends the process at once.
void watch_for_interrupt();
bool interrupted();
/// Throws Error with exit status 130 when Ctrl-C was pressed.
void throw_if_interrupted();

}  // namespace wattle::inline base
