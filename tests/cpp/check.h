// The test framework: TEST registers a test, CHECK counts a failure and goes on, REQUIRE ends the
// test. Every test runs in a process of its own, because the library reads its environment once;
// what a test prints on stderr without failing is a failure too, for the library is silent.
#pragma once

#include <functional>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

namespace check {

typedef std::vector<std::string> Environment;  // of NAME=value

// Registers a function at start-up. `environment` is added to a test's process. A scene is no test:
// it runs only when a test asks for it with run_scene.
struct Registration {
  Registration(const char *name, void (*function)(), const Environment &environment, bool scene);
};

struct Outcome {
  int exit_code;    // 128 + signal number when it was killed
  std::string out;  // what it wrote to stdout
  std::string err;  // and to stderr
};

// Runs a scene in a process of its own; blocks until it ends.
Outcome run_scene(const char *name, const Environment &environment);

// Runs a scene that must succeed and say just `err` on stderr; what it wrote to stdout.
std::string run_well(const char *name, const Environment &environment, const std::string &err = "");
// What the library says once of something that it passes through.
std::string passing_through(const char *reason);

// What stands between bars.
std::vector<std::string> split(const std::string &text);
// Runs f in a forked child, which must pass its checks and take no more than seconds.
void in_child(const std::function<void()> &f);

void fail(const char *file, int line, const std::string &text);
[[noreturn]] void give_up();
// Failures so far in this process; a forked child reports through its exit code.
int failures();

template <class T>
std::string show(const T &value) {
  std::ostringstream out;
  if constexpr (std::is_enum_v<T>) {
    out << static_cast<long long>(value);
  } else if constexpr (std::is_pointer_v<T> && !std::is_convertible_v<T, const char *>) {
    out << static_cast<const void *>(value);
  } else {
    out << value;
  }
  return out.str();
}

template <class A, class B>
bool equal(const A &a, const B &b) {
  // Without the sign-compare warning: the tests compare counts of both kinds, all small.
  if constexpr (std::is_integral_v<A> && std::is_integral_v<B>) {
    return static_cast<long long>(a) == static_cast<long long>(b);
  } else {
    return a == b;
  }
}

template <class A, class B>
void check_equal(const char *file, int line, const char *a_text, const char *b_text, const A &a,
                 const B &b) {
  if (equal(a, b)) return;
  fail(file, line, std::string(a_text) + " == " + b_text + ": " + show(a) + " != " + show(b));
}

}  // namespace check

#define CHECK_TEXT(condition, text)                      \
  do {                                                   \
    if (!(condition)) {                                  \
      std::ostringstream check_text;                     \
      check_text << #condition << ": " << text;          \
      check::fail(__FILE__, __LINE__, check_text.str()); \
    }                                                    \
  } while (false)
#define CHECK(condition) CHECK_TEXT(condition, "false")
#define CHECK_EQ(a, b) check::check_equal(__FILE__, __LINE__, #a, #b, (a), (b))
#define CHECK_OK(call) check::check_equal(__FILE__, __LINE__, #call, "mkldnn_success", (call), 0)
#define REQUIRE(condition)                                                  \
  do {                                                                      \
    if (!(condition)) {                                                     \
      check::fail(__FILE__, __LINE__, std::string(#condition) + ": false"); \
      check::give_up();                                                     \
    }                                                                       \
  } while (false)

#define CHECK_REGISTER(name, scene, ...)                                \
  static void check_run_##name();                                       \
  static const check::Registration check_registration_##name(           \
      #name, check_run_##name, check::Environment{__VA_ARGS__}, scene); \
  static void check_run_##name()
// The release that the fake is of: it carries no build-id that the library knows.
#ifdef API1
#define ASSUME "MKLDNN_OPCACHE_ASSUME=v1.0.4"
#else
#define ASSUME "MKLDNN_OPCACHE_ASSUME=v0.17.4"
#endif
// Other variables of the library's.
#define SCOPE(words) "MKLDNN_OPCACHE=" words
#define CAPACITY(n) "MKLDNN_OPCACHE_CAPACITY=" #n
#define MEMORY(n) "MKLDNN_OPCACHE_MEMORY=" #n
#define ESTIMATE(n) "MKLDNN_OPCACHE_MEMORY_ESTIMATE=" #n
#define TRIAL(n) "MKLDNN_OPCACHE_TRIAL=" #n
#define SHADOW(rate) "MKLDNN_OPCACHE_SHADOW=" #rate
// TEST(name, "VARIABLE=value", ...) { body }
#define TEST(name, ...) CHECK_REGISTER(name, false, ##__VA_ARGS__)
#define SCENE(name) CHECK_REGISTER(name, true)
