#include "fuzz_process.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace fuzz {

namespace {

void need(bool condition, const char *what) {
  if (condition) return;
  perror(what);
  exit(2);
}

std::string read_all(FILE *file) {
  std::string text;
  char buffer[4096];
  rewind(file);
  for (size_t n; (n = fread(buffer, 1, sizeof(buffer), file)) > 0;) text.append(buffer, n);
  return text;
}

}  // namespace

Ended in_a_process(const std::function<int()> &f, unsigned seconds) {
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

void *shared_memory(size_t bytes) {
  void *const memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  need(memory != MAP_FAILED, "fuzz: mmap");
  return memory;
}

}  // namespace fuzz
