// What both fuzzes do with a sequence: run it in a process of its own, so that what it leaves
// behind or breaks does not touch the next, and find a shortest one of those that fail.
#ifndef OPCACHE_TESTS_FUZZ_PROCESS_H_
#define OPCACHE_TESTS_FUZZ_PROCESS_H_

#include <stddef.h>

#include <functional>
#include <string>
#include <vector>

namespace fuzz {

struct Ended {
  bool ok;           // exit code 0
  std::string what;  // else: what it wrote on stderr and how it ended
};
// A forked child's exit code is f's result; it is killed after so many seconds. Ends the program
// when there can be no child.
Ended in_a_process(const std::function<int()> &f, unsigned seconds);

// Memory that a child shares, zeroed; never given back.
void *shared_memory(size_t bytes);

// Leaves out items as long as `fails` still holds; calls it at most `tries` times.
template <class T>
std::vector<T> shortest(std::vector<T> items,
                        const std::function<bool(const std::vector<T> &)> &fails,
                        int tries = 2000) {
  for (size_t chunk = (items.size() + 1) / 2; chunk > 0;) {
    bool any = false;
    for (size_t at = 0; at < items.size() && tries > 0;) {
      std::vector<T> fewer(items.begin(), items.begin() + static_cast<long>(at));
      const size_t end = at + chunk < items.size() ? at + chunk : items.size();
      fewer.insert(fewer.end(), items.begin() + static_cast<long>(end), items.end());
      --tries;
      if (fails(fewer)) {
        items = fewer;
        any = true;
      } else {
        at += chunk;
      }
    }
    // Once more at the last size: what one step needed may be gone.
    if (chunk > 1 || !any || tries <= 0) chunk /= 2;
  }
  return items;
}

}  // namespace fuzz

#endif  // OPCACHE_TESTS_FUZZ_PROCESS_H_
