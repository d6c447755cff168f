// A folder for a test's files.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "check.h"

namespace workload {

// A folder that is gone when the test is, with these files in it and no others.
struct Folder {
  explicit Folder(const std::vector<std::string> &named = {}) : files(named) {
    char pattern[] = "opcache-test-XXXXXX";
    const char *base = getenv("TMPDIR");
    path = std::string(base != nullptr ? base : P_tmpdir) + "/" + pattern;
    REQUIRE(mkdtemp(&path[0]) != nullptr);
  }
  ~Folder() {
    for (const std::string &file : files) unlink((path + "/" + file).c_str());
    CHECK_EQ(rmdir(path.c_str()), 0);  // nothing else was left in it
  }
  std::string path;
  std::vector<std::string> files;
};

inline std::string read(const std::string &path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

}  // namespace workload
