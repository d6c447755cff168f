// The report: its numbers are the fake's. Where it goes at exit: each process leaves its own, whole
// in a file, or a line says why not; never into what is not its own, never waiting, and never at
// the cost of the program.
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <iterator>

#include "folder.h"
#include "opcache.h"
#include "workload.h"

using namespace workload;

namespace {

const char kCreated[] = "operators/_backward_Activation/primitives_created";

ino_t inode(const std::string &path) {
  struct stat status;
  REQUIRE(stat(path.c_str(), &status) == 0);
  return status.st_ino;
}

bool is_link(const std::string &path) {
  struct stat status;
  return lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode);
}

// Runs a scene that reports to `path`; the training must not notice.
std::string errors_of(const char *scene, const std::string &path) {
  const check::Outcome outcome = check::run_scene(scene, {ASSUME, "MKLDNN_OPCACHE_STATS=" + path});
  CHECK_EQ(outcome.exit_code, 0);
  CHECK_EQ(outcome.out, "");
  return outcome.err;
}

std::string refusal(const std::string &path, const std::string &reason) {
  return "opcache: cannot write the statistics to " + path + ": " + reason + "\n";
}

}  // namespace

SCENE(work) { call_three_times(); }

SCENE(work_and_fork) {
  call_three_times();
  if (fork() == 0) exit(0);  // runs destructors
  sleep(1);
}

SCENE(nothing) {}

// The signal that Linux sends by default ends a program.
// The soft limit only: gcov_exit.cc lifts it again.
static void limit(decltype(RLIMIT_FSIZE) resource, rlim_t most) {
  struct rlimit limits;
  REQUIRE(getrlimit(resource, &limits) == 0);
  limits.rlim_cur = most;
  REQUIRE(setrlimit(resource, &limits) == 0);
}

SCENE(work_without_room) {
  call_three_times();
  signal(SIGXFSZ, SIG_DFL);
  limit(RLIMIT_FSIZE, 100);
}

// LeakSanitizer asks at exit; it reads /proc, for which it needs a descriptor.
static bool g_cannot_look_for_leaks = false;
extern "C" int __lsan_is_turned_off() { return g_cannot_look_for_leaks; }

SCENE(work_without_descriptors) {
  call_three_times();
  g_cannot_look_for_leaks = true;
  limit(RLIMIT_NOFILE, 3);
}

SCENE(work_in_a_folder_that_goes) {
  Folder folder;
  REQUIRE(chdir(folder.path.c_str()) == 0);
  call_three_times();
}

SCENE(work_and_say_so) {
  call_three_times();
  printf("own words\n");
}

// Somebody expects the temporary file.
SCENE(work_with_a_trap) {
  const std::string file = getenv("MKLDNN_OPCACHE_STATS");
  const size_t name = file.rfind('/') + 1;
  const std::string trap =
      file.substr(0, name) + "." + file.substr(name) + "." + std::to_string(getpid()) + ".tmp";
  REQUIRE(symlink(getenv("VICTIM"), trap.c_str()) == 0);
  call_three_times();
}

SCENE(work_without_a_reader_of_stderr) {
  call_three_times();
  signal(SIGPIPE, SIG_DFL);
  int ends[2];
  REQUIRE(pipe(ends) == 0 && dup2(ends[1], STDERR_FILENO) >= 0);
  close(ends[0]);
  close(ends[1]);
}

SCENE(work_with_a_file_as_descriptor_2) {
  REQUIRE(open(getenv("VICTIM"), O_RDWR) == STDERR_FILENO);
  call_three_times();
}

SCENE(start_without_stderr) {
  close(STDERR_FILENO);
  execl("/proc/self/exe", "test", "--here", "work_with_a_file_as_descriptor_2", nullptr);
}

TEST(file_at_exit) {
  const Folder folder({"stats.json"});
  const std::string path = folder.path + "/stats.json";
  CHECK_EQ(errors_of("work", path), "");
  const Stats stats(read(path));
  CHECK_EQ(stats[kCreated], 1);
  CHECK_EQ(stats["operators/_backward_Activation/primitives_avoided"], 2);
  // A second run replaces the first one's, and keeps who may read it.
  std::ofstream(path) << "old";
  REQUIRE(chmod(path.c_str(), 0600) == 0);
  CHECK_EQ(errors_of("work", path), "");
  CHECK_EQ(Stats(read(path))[kCreated], 1);
  struct stat status;
  CHECK(stat(path.c_str(), &status) == 0 && (status.st_mode & 0777) == 0600);
}

TEST(longest_name) {
  const Folder folder({std::string(NAME_MAX, 'x')});
  const std::string path = folder.path + "/" + folder.files[0];
  CHECK_EQ(errors_of("work", path), "");
  CHECK_EQ(Stats(read(path))[kCreated], 1);
}

TEST(unwritable_path_is_one_line) {
  const std::string path = "/nonexistent/stats.json";
  CHECK_EQ(errors_of("work", path), refusal(path, "No such file or directory"));
  CHECK_EQ(errors_of("work", "/dev/full"), refusal("/dev/full", "No space left on device"));
  CHECK_EQ(errors_of("work", "/dev/null"), "");
  CHECK_EQ(errors_of("work_without_descriptors", "stats"), refusal("stats", "Too many open files"));
  CHECK_EQ(errors_of("work_in_a_folder_that_goes", "stats"),
           refusal("stats", "No such file or directory"));
}

TEST(full_disk_is_one_line_and_leaves_the_old_file) {
  const Folder folder({"stats.json"});
  const std::string path = folder.path + "/stats.json";
  std::ofstream(path) << "old";
  CHECK_EQ(errors_of("work_without_room", path), refusal(path, "File too large"));
  CHECK_EQ(read(path), "old");
}

TEST(what_is_no_file_is_refused) {
  const Folder folder({"fifo", "socket"});
  const std::string fifo = folder.path + "/fifo", socket_path = folder.path + "/socket";
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  // Nobody reads it: to open it would wait for ever.
  CHECK_EQ(errors_of("work", fifo), refusal(fifo, "it is a FIFO"));
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, socket_path.c_str(), sizeof(address.sun_path) - 1);
  REQUIRE(bind(fd, reinterpret_cast<struct sockaddr *>(&address), sizeof(address)) == 0);
  CHECK_EQ(errors_of("work", socket_path), refusal(socket_path, "it is not a file"));
  close(fd);
  CHECK_EQ(errors_of("work", folder.path), refusal(folder.path, "Is a directory"));
}

TEST(link_is_followed_not_replaced) {
  const Folder folder({"link", "other", "target", "loop"});
  const std::string path = folder.path + "/link", target = folder.path + "/target";
  const std::string other = folder.path + "/other", loop = folder.path + "/loop";
  REQUIRE(symlink("other", path.c_str()) == 0);
  REQUIRE(symlink(target.c_str(), other.c_str()) == 0);
  REQUIRE(symlink("loop", loop.c_str()) == 0);
  // It leads nowhere yet.
  CHECK_EQ(errors_of("work", path), "");
  CHECK_EQ(Stats(read(target))[kCreated], 1);
  CHECK_EQ(errors_of("work", loop), refusal(loop, "Too many levels of symbolic links"));
  CHECK(is_link(path) && is_link(other));
}

TEST(file_behind_a_link_is_replaced_in_one_step) {
  const Folder folder({"link", "target"});
  const std::string path = folder.path + "/link", target = folder.path + "/target";
  REQUIRE(symlink("target", path.c_str()) == 0);
  std::ofstream(target) << "old";
  CHECK_EQ(errors_of("work_without_room", path), refusal(path, "File too large"));
  CHECK_EQ(read(target), "old");
  const ino_t before = inode(target);
  CHECK_EQ(errors_of("work", path), "");
  CHECK_EQ(Stats(read(target))[kCreated], 1);
  CHECK(inode(target) != before);
  CHECK(is_link(path));
}

// What the program wrote there stays.
TEST(stdout_is_appended_to) {
  std::string out =
      check::run_well("work_and_say_so", {ASSUME, "MKLDNN_OPCACHE_STATS=/dev/stdout"});
  const size_t words = out.find("own words\n");
  REQUIRE(words != std::string::npos);
  CHECK_EQ(Stats(out.erase(words, strlen("own words\n")))[kCreated], 1);
}

TEST(planted_link_is_not_followed) {
  const Folder folder({"stats", "victim"});
  const std::string victim = folder.path + "/victim", path = folder.path + "/stats";
  std::ofstream(victim) << "precious";
  check::run_well("work_with_a_trap", {ASSUME, "VICTIM=" + victim, "MKLDNN_OPCACHE_STATS=" + path});
  CHECK_EQ(read(victim), "precious");
  CHECK_EQ(Stats(read(path))[kCreated], 1);
  // The link is gone, so it did stand where the temporary file goes.
  const std::filesystem::directory_iterator left(folder.path);
  CHECK_EQ(std::distance(left, {}), 2);
}

TEST(nobody_reads_stderr) {
  for (const char *path : {"stderr", "/nonexistent/stats", "/dev/stderr"}) {
    CHECK_EQ(errors_of("work_without_a_reader_of_stderr", path), "");
  }
}

TEST(descriptor_2_of_a_program_without_stderr_is_its_own) {
  const Folder folder({"victim"});
  const std::string victim = folder.path + "/victim";
  std::ofstream(victim) << "precious";
  for (const char *path : {"stderr", "/nonexistent/stats"}) {
    check::run_well("start_without_stderr",
                    {ASSUME, "VICTIM=" + victim, std::string("MKLDNN_OPCACHE_STATS=") + path});
    CHECK_EQ(read(victim), "precious");
  }
}

CACHED_TEST(numbers_are_the_fakes, CAPACITY(9)) {
  long calls = 0;
  for (int round = 0; round < 4; ++round) {
    for (const What what : known_kinds()) {
      call(engine, what, 4 + round % 2);
      ++calls;
    }
  }
  Described held(engine, kReluBackward, 4);
  Bound live(engine, held, 0);
  ++calls;
  const Stats stats;
  // Of a field, over all operators.
  const auto sum = [&](const std::string &field) {
    double all = 0;
    for (const auto &member : stats.document) {
      const std::string &path = member.first;
      const size_t at = path.rfind("/" + field);
      const bool of_operator = path.compare(0, 10, "operators/") == 0 && at != std::string::npos;
      if (of_operator && at + 1 + field.size() == path.size()) all += member.second.number;
    }
    return all;
  };
  const auto without_memory = [&](const std::string &field) {
    return sum(field) - stats["operators/memory/" + field];
  };
  const double created = without_memory("primitives_created");
  CHECK_EQ(created, fake_created(kFakePrimitive));
  CHECK_EQ(created + without_memory("primitives_avoided"), calls);
  CHECK(without_memory("evictions") > 0);
  CHECK_EQ(stats["totals/live_primitives"], 1);
  CHECK_EQ(stats["totals/idle_primitives"], fake_live(kFakePrimitive) - 1);
  CHECK_EQ(stats["totals/descriptors"],
           fake_live(kFakeDescriptor) + fake_live(kFakeMemoryDescriptor));
  CHECK_EQ(stats["schema"], 1);
  CHECK_EQ(stats.text("mkldnn"), "v0.17.4");
  CHECK_EQ(stats.text("scope"), "all");
  CHECK_EQ(stats["recognised"], 1);
  CHECK_EQ(stats["active"], 1);
  CHECK_EQ(stats["capacity"], 9);
  CHECK_EQ(stats.text("build_id").size(), 40);
  CHECK(stats["totals/create_ns"] > 0);
  CHECK(stats["totals/destroy_ns"] > 0);
  CHECK(stats["totals/avoided_ns"] > 0);
  CHECK(stats["totals/cache_ns"] > 0);
  // The totals are sums.
  for (const char *field : {"primitives_avoided", "primitives_created", "descriptors_avoided",
                            "descriptors_created", "evictions"}) {
    CHECK_EQ(stats[std::string("totals/") + field], sum(field));
  }
}

TEST(reset_counts_from_zero_and_keeps_the_cache, ASSUME) {
  Engine engine;
  call(engine, kReluBackward, 4);
  mkldnn_opcache_reset_stats();
  CHECK_EQ(Stats()["totals/primitives_created"], 0);
  CHECK_EQ(Stats()["totals/idle_primitives"], 1);
  CHECK_EQ(made_by_call(engine, kReluBackward, 4), 0);
  CHECK_EQ(Stats()["operators/_backward_Activation/primitives_avoided"], 1);
  // What threads that ended did stays counted, and can be reset too.
  on_thread([&] { call(engine, kReluBackward, 4); });
  CHECK_EQ(Stats()[kCreated], 1);
  mkldnn_opcache_reset_stats();
  CHECK_EQ(Stats()["totals/primitives_created"], 0);
}

TEST(any_buffer_size, ASSUME) {
  call_three_times();
  const size_t needed = mkldnn_opcache_stats_json(nullptr, 0);
  CHECK(needed > 100);
  for (const size_t size : {size_t(1), size_t(2), size_t(10), size_t(100), needed / 2, needed}) {
    std::string text(size + 8, '#');
    const size_t length = mkldnn_opcache_stats_json(&text[0], size);
    // The times move on, so the length may by a few digits.
    CHECK(length + 40 > needed && length < needed + 40);
    CHECK_EQ(strlen(text.c_str()), std::min(length, size - 1));
    CHECK_EQ(text.substr(size), "########");
  }
}

TEST(stderr_at_exit) { CHECK_EQ(Stats(errors_of("work", "stderr"))[kCreated], 1); }

TEST(process_id_in_the_name, ASSUME) {
  Folder folder;
  check::run_well("work_and_fork", {ASSUME, "MKLDNN_OPCACHE_STATS=" + folder.path + "/a-%p.json"});
  // One file of the parent's, one of the child's, which did nothing itself.
  for (const auto &file : std::filesystem::directory_iterator(folder.path)) {
    folder.files.push_back(file.path().filename());
  }
  REQUIRE(folder.files.size() == 2);
  double created = 0;
  for (const std::string &file : folder.files) {
    CHECK_EQ(file.compare(0, 2, "a-"), 0);
    const Stats stats(read(folder.path + "/" + file));
    if (stats.has(kCreated)) created += stats[kCreated];
  }
  CHECK_EQ(created, 1);
}

// A child without a name of its own leaves the file to its parent.
TEST(forked_child_does_not_write_its_parents_file, ASSUME) {
  const Folder folder({"stats.json"});
  const std::string path = folder.path + "/stats.json";
  check::run_well("work_and_fork", {ASSUME, "MKLDNN_OPCACHE_STATS=" + path});
  CHECK_EQ(Stats(read(path))[kCreated], 1);
}

TEST(silent_by_default) {
  for (const char *scene : {"work", "nothing"}) CHECK_EQ(check::run_well(scene, {ASSUME}), "");
}
