// Where the report goes at exit: whole into a file, or a line says why not; never into what is not
// its own, never waiting, and never at the cost of the program.
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <filesystem>
#include <iterator>

#include "folder.h"
#include "workload.h"

using namespace workload;

#define ASSUME "MKLDNN_OPCACHE_ASSUME=v0.17.4"

namespace {

const char kCreated[] = "operators/_backward_Activation/primitives_created";

void some_work() {
  Engine engine;
  for (int round = 0; round < 3; ++round) call(engine.handle, kReluBackward, 4);
}

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

SCENE(work) { some_work(); }

// The signal that Linux sends by default ends a program.
// The soft limit only: gcov_exit.cc lifts it again.
static void limit(decltype(RLIMIT_FSIZE) resource, rlim_t most) {
  struct rlimit limits;
  REQUIRE(getrlimit(resource, &limits) == 0);
  limits.rlim_cur = most;
  REQUIRE(setrlimit(resource, &limits) == 0);
}

SCENE(work_without_room) {
  some_work();
  signal(SIGXFSZ, SIG_DFL);
  limit(RLIMIT_FSIZE, 100);
}

// LeakSanitizer asks at exit; it reads /proc, for which it needs a descriptor.
static bool g_cannot_look_for_leaks = false;
extern "C" int __lsan_is_turned_off() { return g_cannot_look_for_leaks; }

SCENE(work_without_descriptors) {
  some_work();
  g_cannot_look_for_leaks = true;
  limit(RLIMIT_NOFILE, 3);
}

SCENE(work_in_a_folder_that_goes) {
  Folder folder;
  REQUIRE(chdir(folder.path.c_str()) == 0);
  some_work();
}

SCENE(work_and_say_so) {
  some_work();
  printf("own words\n");
}

// Somebody expects the temporary file.
SCENE(work_with_a_trap) {
  const std::string file = getenv("MKLDNN_OPCACHE_STATS");
  const size_t name = file.rfind('/') + 1;
  const std::string trap =
      file.substr(0, name) + "." + file.substr(name) + "." + std::to_string(getpid()) + ".tmp";
  REQUIRE(symlink(getenv("VICTIM"), trap.c_str()) == 0);
  some_work();
}

SCENE(work_without_a_reader_of_stderr) {
  some_work();
  signal(SIGPIPE, SIG_DFL);
  int ends[2];
  REQUIRE(pipe(ends) == 0 && dup2(ends[1], STDERR_FILENO) >= 0);
  close(ends[0]);
  close(ends[1]);
}

SCENE(work_with_a_file_as_descriptor_2) {
  REQUIRE(open(getenv("VICTIM"), O_RDWR) == STDERR_FILENO);
  some_work();
}

SCENE(start_without_stderr) {
  close(STDERR_FILENO);
  execl("/proc/self/exe", "test", "--here", "work_with_a_file_as_descriptor_2", nullptr);
}

TEST(file_at_exit) {
  Folder folder;
  folder.files = {"stats.json"};
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
  Folder folder;
  folder.files = {std::string(NAME_MAX, 'x')};
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
  Folder folder;
  folder.files = {"stats.json"};
  const std::string path = folder.path + "/stats.json";
  std::ofstream(path) << "old";
  CHECK_EQ(errors_of("work_without_room", path), refusal(path, "File too large"));
  CHECK_EQ(read(path), "old");
}

TEST(what_is_no_file_is_refused) {
  Folder folder;
  folder.files = {"fifo", "socket"};
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
  Folder folder;
  folder.files = {"link", "other", "target", "loop"};
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
  Folder folder;
  folder.files = {"link", "target"};
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
  const check::Outcome outcome =
      check::run_scene("work_and_say_so", {ASSUME, "MKLDNN_OPCACHE_STATS=/dev/stdout"});
  CHECK_EQ(outcome.exit_code, 0);
  CHECK_EQ(outcome.err, "");
  const size_t words = outcome.out.find("own words\n");
  REQUIRE(words != std::string::npos);
  CHECK_EQ(Stats(std::string(outcome.out).erase(words, strlen("own words\n")))[kCreated], 1);
}

TEST(planted_link_is_not_followed) {
  Folder folder;
  folder.files = {"stats", "victim"};
  const std::string victim = folder.path + "/victim", path = folder.path + "/stats";
  std::ofstream(victim) << "precious";
  const check::Outcome outcome = check::run_scene(
      "work_with_a_trap", {ASSUME, "VICTIM=" + victim, "MKLDNN_OPCACHE_STATS=" + path});
  CHECK_EQ(outcome.exit_code, 0);
  CHECK_EQ(outcome.err, "");
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
  Folder folder;
  folder.files = {"victim"};
  const std::string victim = folder.path + "/victim";
  std::ofstream(victim) << "precious";
  for (const char *path : {"stderr", "/nonexistent/stats"}) {
    const check::Outcome outcome =
        check::run_scene("start_without_stderr",
                         {ASSUME, "VICTIM=" + victim, std::string("MKLDNN_OPCACHE_STATS=") + path});
    CHECK_EQ(outcome.exit_code, 0);
    CHECK_EQ(outcome.err, "");
    CHECK_EQ(read(victim), "precious");
  }
}
