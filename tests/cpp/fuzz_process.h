// What both fuzzes do with a sequence: run it in a process of its own, so that what it leaves
// behind or breaks does not touch the next, and find a shortest one of those that fail.
#pragma once

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <vector>

namespace fuzz {

struct Ended {
  bool ok;           // exit code 0
  std::string what;  // else: what it wrote on stderr and how it ended
};

inline void need(bool condition, const char *what) {
  if (condition) return;
  perror(what);
  exit(2);
}

inline std::string read_all(FILE *file) {
  std::string text;
  char buffer[4096];
  rewind(file);
  for (size_t n; (n = fread(buffer, 1, sizeof(buffer), file)) > 0;) text.append(buffer, n);
  return text;
}

// A forked child's exit code is f's result; it is killed after so many seconds. Ends the program
// when there can be no child.
inline Ended in_a_process(const std::function<int()> &f, unsigned seconds) {
  FILE *const err = tmpfile();
  need(err != nullptr, "fuzz: tmpfile");
  fflush(nullptr);
  const pid_t child = fork();
  need(child >= 0, "fuzz: fork");
  if (child == 0) {
    // What the library says there is for who looks into a failure.
    dup2(fileno(err), STDERR_FILENO);
    alarm(seconds);
    const int code = f();
    fflush(nullptr);
    _exit(code);
  }
  int status = 0;
  need(waitpid(child, &status, 0) == child, "fuzz: waitpid");
  Ended ended = {WIFEXITED(status) && WEXITSTATUS(status) == 0, ""};
  if (!ended.ok) ended.what = read_all(err);
  if (WIFSIGNALED(status)) ended.what += "killed by signal " + std::to_string(WTERMSIG(status));
  fclose(err);
  return ended;
}

// Memory that a child shares, zeroed; never given back.
inline void *shared_memory(size_t bytes) {
  void *const memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  need(memory != MAP_FAILED, "fuzz: mmap");
  return memory;
}

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
