// Opens libraries in the order of its arguments, lets the client among them work, and closes them
// in the order that follows: unload_program OPEN,OPEN,... CLOSE,CLOSE,... MODE where a library is
// named by its place in the environment: MKLDNN, OPCACHE, CLIENT. MODE:
//   quiet   threads end before anything is closed
//   busy    threads work on until the process ends, in main's return
//   late    as quiet, but a thread of the program's, which called too, ends after all was closed
//   exit    as busy, with exit() called on another thread
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace {

std::vector<std::string> words(const char *text) {
  std::vector<std::string> all;
  std::istringstream in(text);
  for (std::string word; std::getline(in, word, ',');) all.push_back(word);
  return all;
}

void *leave(void *) { exit(0); }

void (*g_touch)(int);
sem_t g_touched, g_closed;

void *outlive(void *) {
  g_touch(0);
  sem_post(&g_touched);
  sem_wait(&g_closed);
  return nullptr;
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  const std::string mode = argv[3];
  alarm(30);
  std::map<std::string, void *> handles;
  for (const std::string &name : words(argv[1])) {
    // The names that the client calls are found by the loader's order, as in a program that was
    // started with the library preloaded.
    handles[name] = dlopen(getenv(name.c_str()), RTLD_LAZY | RTLD_GLOBAL);
    if (handles[name] == nullptr) {
      fprintf(stderr, "%s\n", dlerror());
      return 2;
    }
  }
  const auto find = [&](const char *name) {
    void *const f = dlsym(handles["CLIENT"], name);
    if (f == nullptr) exit(2);
    return reinterpret_cast<void (*)(int)>(f);
  };
  const auto start = find("client_start"), stop = find("client_stop");
  g_touch = find("client_touch");
  sem_init(&g_touched, 0, 0);
  sem_init(&g_closed, 0, 0);
  pthread_t thread;
  start(2);
  usleep(20000);
  if (mode == "late") {
    pthread_create(&thread, nullptr, outlive, nullptr);
    sem_wait(&g_touched);
  }
  if (mode == "quiet" || mode == "late") {
    stop(2);
  } else {
    // A client whose threads are in its code cannot be closed by anybody: one more reference.
    dlopen(getenv("CLIENT"), RTLD_LAZY | RTLD_NOLOAD);
  }
  for (const std::string &name : words(argv[2])) dlclose(handles[name]);
  if (mode == "late") {
    sem_post(&g_closed);
    pthread_join(thread, nullptr);
  }
  if (mode == "exit") {
    pthread_create(&thread, nullptr, leave, nullptr);
    pause();
  }
  return 0;
}
