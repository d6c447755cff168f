// The runner: every test, or those named on the command line, each in a process of its own, then
// "N passed, M failed". "2/3" runs every third of them from the second on; "--here NAME" runs one
// in this very process and environment.
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>

extern char **environ;

namespace check {

namespace {

const unsigned kTimeoutSeconds = 180;
const unsigned kChildSeconds = 10;  // one takes milliseconds: what is alive then, hangs

struct Entry {
  std::string name;
  void (*function)();
  Environment environment;
  bool scene;
};

std::vector<Entry> &entries() {
  static std::vector<Entry> all;
  return all;
}

std::atomic<int> g_failures(0);

const Entry *find(const std::string &name) {
  for (const Entry &entry : entries()) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

// The environment without anything that steers the library, plus `more`; every thread caches.
Environment clean_environment(const Environment &more) {
  Environment all;
  for (char **at = environ; *at != nullptr; ++at) {
    if (strncmp(*at, "MKLDNN_OPCACHE", strlen("MKLDNN_OPCACHE")) != 0) all.push_back(*at);
  }
  all.insert(all.end(), more.begin(), more.end());
  all.push_back("MKLDNN_OPCACHE_TRIAL=0");  // the first of a name counts
  return all;
}

[[noreturn]] void become(const std::string &name, const Environment &environment) {
  const Environment all = clean_environment(environment);
  std::vector<char *> variables;
  for (const std::string &variable : all) variables.push_back(const_cast<char *>(variable.c_str()));
  variables.push_back(nullptr);
  char program[] = "/proc/self/exe";
  char here[] = "--here";
  char *arguments[] = {program, here, const_cast<char *>(name.c_str()), nullptr};
  alarm(kTimeoutSeconds);  // survives exec
  execve(program, arguments, variables.data());
  _exit(127);
}

Outcome run(const std::string &name, const Environment &environment) {
  int out[2], err[2];
  Outcome outcome = {-1, "", ""};
  if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) return outcome;
  fflush(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(out[1], STDOUT_FILENO);
    dup2(err[1], STDERR_FILENO);
    become(name, environment);
  }
  close(out[1]);
  close(err[1]);
  struct pollfd ends[2] = {{out[0], POLLIN, 0}, {err[0], POLLIN, 0}};
  for (int open = 2; open > 0;) {
    if (poll(ends, 2, -1) < 0 && errno != EINTR) break;
    for (int i = 0; i < 2; ++i) {
      if (ends[i].fd < 0 || ends[i].revents == 0) continue;
      char buffer[4096];
      const ssize_t n = read(ends[i].fd, buffer, sizeof(buffer));
      if (n > 0) {
        (i == 0 ? outcome.out : outcome.err).append(buffer, static_cast<size_t>(n));
      } else if (n == 0 || errno != EINTR) {
        close(ends[i].fd);
        ends[i].fd = -1;
        --open;
      }
    }
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

int run_here(const Entry &entry) {
  entry.function();
  return failures() > 0 ? 1 : 0;
}

}  // namespace

Registration::Registration(const char *name, void (*function)(), const Environment &environment,
                           bool scene) {
  entries().push_back(Entry{name, function, environment, scene});
}

Outcome run_scene(const char *name, const Environment &environment) {
  const Entry *entry = find(name);
  REQUIRE(entry != nullptr && entry->scene);
  return run(name, environment);
}

std::string run_well(const char *name, const Environment &environment, const std::string &err) {
  const Outcome outcome = run_scene(name, environment);
  CHECK_EQ(outcome.exit_code, 0);
  CHECK_EQ(outcome.err, err);
  return outcome.out;
}

std::string passing_through(const char *reason) {
  return std::string("opcache: ") + reason +
         ": passing it through to MKL-DNN (said once; counted in the statistics)\n";
}

std::vector<std::string> split(const std::string &text) {
  std::vector<std::string> parts;
  std::istringstream in(text + "|");
  for (std::string part; std::getline(in, part, '|');) parts.push_back(part);
  return parts;
}

void in_child(const std::function<void()> &f) {
  const pid_t pid = fork();
  if (pid == 0) {
    alarm(kChildSeconds);
    const int before = failures();
    f();
    _exit(failures() > before ? 1 : 0);
  }
  int status = 0;
  REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid);
  CHECK_EQ(status, 0);
}

void fail(const char *file, int line, const std::string &text) {
  ++g_failures;
  const char *base = strrchr(file, '/');
  fprintf(stderr, "%s:%d: %s\n", base != nullptr ? base + 1 : file, line, text.c_str());
}

void give_up() { exit(1); }

int failures() { return g_failures; }

}  // namespace check

int main(int argc, char **argv) {
  using namespace check;
  std::vector<Entry> chosen;
  const bool here = argc == 3 && strcmp(argv[1], "--here") == 0;
  size_t part = 0, parts = 0;
  const bool some = argc == 2 && sscanf(argv[1], "%zu/%zu", &part, &parts) == 2;
  for (size_t i = part - 1; some && i < entries().size(); i += parts) {
    chosen.push_back(entries()[i]);
  }
  for (int i = here ? 2 : 1; !some && i < argc; ++i) {
    const Entry *entry = find(argv[i]);
    if (entry == nullptr) {
      fprintf(stderr, "no test %s; there are:\n", argv[i]);
      for (const Entry &known : entries()) fprintf(stderr, "  %s\n", known.name.c_str());
      return 2;
    }
    chosen.push_back(*entry);
  }
  if (here) return run_here(chosen.front());
  int passed = 0, failed = 0;
  for (const Entry &entry : chosen.empty() ? entries() : chosen) {
    if (entry.scene) continue;
    const Outcome outcome = run(entry.name, entry.environment);
    fputs(outcome.out.c_str(), stdout);
    if (outcome.exit_code == 0 && outcome.err.empty()) {
      ++passed;
      continue;
    }
    ++failed;
    printf("FAILED %s (exit code %d)\n%s", entry.name.c_str(), outcome.exit_code,
           outcome.err.c_str());
  }
  const char *base = strrchr(argv[0], '/');
  printf("%s: %d passed, %d failed\n", base != nullptr ? base + 1 : argv[0], passed, failed);
  return failed > 0 || passed == 0 ? 1 : 0;
}
