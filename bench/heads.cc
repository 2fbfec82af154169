// What a task adds to a head's own function, for the cheapest rungs: nanoseconds a question of Head::predict,
// and of Task::answer with one question and with 256 at a time.
//
//   bench_heads ROWS.jsonl HEAD.gguf...
#include <wattle/error.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>

#include "base/threads.h"
#include "file/model_file.h"
#include "tasks/rows.h"
#include "tasks/task.h"
#include "train/head.h"

namespace wattle {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// The fastest of 50 rounds, in nanoseconds a row: what others do on the machine only adds.
double nanoseconds(size_t rows, const std::function<void()>& round) {
  double best = 1e9;
  for (int i = 0; i < 50; ++i) {
    const double begin = now();
    round();
    best = std::min(best, 1e9 * (now() - begin) / static_cast<double>(rows));
  }
  return best;
}

void measure(const std::vector<Question>& rows, const std::string& path) {
  Head head = Head::load(ModelFile::open(path));
  const auto task = Task::create(path, TaskOptions{});
  Work work;
  const double bare = nanoseconds(rows.size(), [&] {
    for (const Question& row : rows) head.predict(row.text(), work);
  });
  const auto batches_of = [&](size_t batch) {
    return nanoseconds(rows.size(), [&] {
      for (size_t begin = 0; begin < rows.size(); begin += batch)
        task->answer(std::span(rows).subspan(begin, std::min(batch, rows.size() - begin)));
    });
  };
  const double one = batches_of(1), many = batches_of(256);
  std::cout << name(head.kind()) << " on " << head.features() << ": bare " << bare << " ns, task " << one
            << " ns one at a time, " << many << " ns 256 at a time\n";
}

}  // namespace
}  // namespace wattle

int main(int argc, char** argv) {
  try {
    if (argc < 3) wattle::fail("usage: bench_heads ROWS.jsonl HEAD.gguf...");
    wattle::set_threads(1);
    const wattle::Rows rows = wattle::read_rows(argv[1]);
    for (int i = 2; i < argc; ++i) wattle::measure(rows.rows, argv[i]);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}
