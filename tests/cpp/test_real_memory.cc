// Against a real libmkldnn.so.0 of any release: what the library counts a primitive at is what the
// process grows by, and comes back when it goes; and without a bound on memory nothing of
// libmkldnn is touched.
#include <dlfcn.h>
#include <link.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <set>

#include "opcache.h"
#include "real_session.h"

using namespace real_session;

// Without caches of freed blocks, which glibc and MKL count as taken.
#define EXACT "GLIBC_TUNABLES=glibc.malloc.tcache_count=0", "MKL_DISABLE_FAST_MM=1"
#define BOUND "MKLDNN_OPCACHE_MEMORY=4G"

namespace {

const int kOnes[] = {1, 1};
const int kTwos[] = {2, 2};
const int kZeros[] = {0, 0};

double heap_bytes() {
#if __GLIBC_PREREQ(2, 33)
  const struct mallinfo2 info = mallinfo2();
#else
  const struct mallinfo info = mallinfo();
#endif
  return static_cast<double>(info.uordblks) + static_cast<double>(info.hblkhd);
}

// Of pages that can be written and executed, those in memory.
double code_bytes() {
  std::ifstream maps("/proc/self/smaps");
  double sum_kib = 0;
  bool code = false;
  for (std::string line; std::getline(maps, line);) {
    const size_t blank = line.find(' ');
    if (blank != std::string::npos && line.find('-') < blank) {
      code = line.compare(blank + 1, 3, "rwx") == 0;
    } else if (code && line.compare(0, 4, "Rss:") == 0) {
      sum_kib += strtod(line.c_str() + 4, nullptr);
    }
  }
  return 1024 * sum_kib;
}

double taken() { return heap_bytes() + code_bytes(); }

double kept() {
  const json::Document document = stats();
  CHECK_EQ(number(document, "memory/live_bytes"), 0);
  return number(document, "memory/idle_bytes") + number(document, "memory/descriptor_bytes");
}

// Brings the cache's own tables to the size that they will have.
void fill_tables() {
  for (int n = 1; n < 1500; ++n) {
    Session s(through());
    s.memory(tensor({n}, mkldnn_x));
  }
  mkldnn_opcache_clear();
}

typedef std::function<void(Session *, int)> SizedCase;

void check_growth(const char *name, const SizedCase &run) {
  const int kSizes = 24;
  fill_tables();
  // What MKL-DNN leaks by itself (v0.14 its deconvolutions' convolutions), and what it and MKL
  // allocate once.
  double leaked = 0;
  for (int size = kSizes + 1; size >= 0; --size) {
    if (size == kSizes) leaked = -taken();
    Session s(direct());
    run(&s, size);
  }
  leaked += taken();
  const double empty = taken();
  // The largest first: scratchpads do not grow any more.
  for (const int size : {kSizes, kSizes + 1}) {
    Session s(through());
    run(&s, size);
    CHECK_TEXT(s.status() == mkldnn_success, name);
  }
  const double taken_before = taken(), kept_before = kept();
  for (int size = 0; size < kSizes; ++size) {
    Session s(through());
    run(&s, size);
  }
  const double grown = taken() - taken_before, counted = kept() - kept_before;
  CHECK_TEXT(counted > 0.9 * grown && counted < 1.1 * grown,
             name << ": " << counted << " bytes counted, " << grown << " grown");
  // As many again that are known already: nothing grows.
  for (int size = 0; size < kSizes; ++size) {
    Session s(through());
    run(&s, size);
  }
  CHECK_EQ(kept() - kept_before, counted);
  const double most = taken(), all = kept();
  mkldnn_opcache_clear();
  const double freed = most - taken();
  CHECK_EQ(kept(), 0);
  CHECK_TEXT(freed > 0.9 * all - 1.1 * leaked,
             name << ": " << all << " bytes counted, " << freed << " freed");
  CHECK_TEXT(taken() - empty < 0.05 * all + 1.1 * leaked,
             name << ": " << taken() - empty << " left, " << leaked << " without the cache");
  if (getenv("OPCACHE_TEST_FIGURES") != nullptr) {
    printf("%s %s: %.0f bytes counted, %.0f grown, ratio %.3f; %.0f leaked\n",
           stats()["mkldnn"].text.c_str(), name, counted, grown, counted / grown, leaked);
  }
}

void convolution(Session *s, int n, int what) {
  const mkldnn_memory_desc_t src = any({2, 16, 8 + n, 8}), weights = any({32, 16, 3, 3}),
                             dst = any({2, 32, 8 + n, 8});
  mkldnn_convolution_desc_t forward, d;
  CHECK_OK(mkldnn_convolution_forward_desc_init(&forward, mkldnn_forward_training,
                                                mkldnn_convolution_direct, &src, &weights, nullptr,
                                                &dst, kOnes, kOnes, kOnes, mkldnn_padding_zero));
  if (what == 0) {
    s->run(s->operation(&forward));
    return;
  }
  if (what == 1) {
    CHECK_OK(mkldnn_convolution_backward_data_desc_init(&d, mkldnn_convolution_direct, &src,
                                                        &weights, &dst, kOnes, kOnes, kOnes,
                                                        mkldnn_padding_zero));
  } else {
    CHECK_OK(mkldnn_convolution_backward_weights_desc_init(&d, mkldnn_convolution_direct, &src,
                                                           &weights, nullptr, &dst, kOnes, kOnes,
                                                           kOnes, mkldnn_padding_zero));
  }
  s->run(s->operation(&d, s->operation(&forward)));
}

mkldnn_memory_desc_t blocked(int n) { return tensor({2, 16, 6, 6 + 2 * n}, formats().nChw8c); }

}  // namespace

TEST(convolution_forward, EXACT, BOUND) {
  check_growth("convolution", [](Session *s, int n) { convolution(s, n, 0); });
}

TEST(convolution_backward_data, EXACT, BOUND) {
  check_growth("convolution backward data", [](Session *s, int n) { convolution(s, n, 1); });
}

TEST(convolution_backward_weights, EXACT, BOUND) {
  check_growth("convolution backward weights", [](Session *s, int n) { convolution(s, n, 2); });
}

TEST(deconvolution, EXACT, BOUND) {
  check_growth("deconvolution", [](Session *s, int n) {
    const mkldnn_memory_desc_t src = any({2, 16, 6 + n, 6}), weights = any({8, 16, 3, 3}),
                               dst = any({2, 8, 8 + n, 8});
    mkldnn_deconvolution_desc_t d;
    CHECK_OK(mkldnn_deconvolution_forward_desc_init(
        &d, mkldnn_forward_training, algorithms().deconvolution_direct, &src, &weights, nullptr,
        &dst, kOnes, kZeros, kZeros, mkldnn_padding_zero));
    s->run(s->operation(&d));
  });
}

TEST(batch_normalisation, EXACT, BOUND) {
  check_growth("batch normalisation", [](Session *s, int n) {
    const mkldnn_memory_desc_t data = blocked(n);
    mkldnn_batch_normalization_desc_t forward, backward;
    CHECK_OK(mkldnn_batch_normalization_forward_desc_init(&forward, mkldnn_forward_training, &data,
                                                          1e-3f, mkldnn_use_scaleshift));
    CHECK_OK(mkldnn_batch_normalization_backward_desc_init(&backward, mkldnn_backward, &data, &data,
                                                           1e-3f, mkldnn_use_scaleshift));
    const mkldnn_primitive_desc_t hint = s->operation(&forward);
    const std::vector<Data> results = s->run(hint);
    REQUIRE(results.size() == 3);
    s->run(s->operation(&backward, hint), {{1, results[1]}, {2, results[2]}});
  });
}

TEST(pooling, EXACT, BOUND) {
  check_growth("pooling", [](Session *s, int n) {
    const mkldnn_memory_desc_t src = blocked(n), dst = tensor({2, 16, 3, 3 + n}, formats().nChw8c);
    mkldnn_pooling_desc_t d;
    CHECK_OK(mkldnn_pooling_forward_desc_init(&d, mkldnn_forward_training, algorithms().pooling_max,
                                              &src, &dst, kTwos, kTwos, kZeros, kZeros,
                                              mkldnn_padding_zero));
    s->run(s->operation(&d));
  });
}

TEST(local_response_normalisation, EXACT, BOUND) {
  check_growth("LRN", [](Session *s, int n) {
    const mkldnn_memory_desc_t data = blocked(n);
    mkldnn_lrn_desc_t d;
    CHECK_OK(mkldnn_lrn_forward_desc_init(&d, mkldnn_forward_training,
                                          algorithms().lrn_across_channels, &data, 5, 1e-4f, 0.75f,
                                          1.0f));
    s->run(s->operation(&d));
  });
}

TEST(eltwise, EXACT, BOUND) {
  check_growth("eltwise", [](Session *s, int n) {
    const mkldnn_memory_desc_t data = blocked(n);
    mkldnn_eltwise_desc_t d;
    CHECK_OK(mkldnn_eltwise_forward_desc_init(&d, mkldnn_forward_training, algorithms().relu, &data,
                                              0, 0));
    s->run(s->operation(&d));
  });
}

TEST(reorder, EXACT, BOUND) {
  check_growth("reorder", [](Session *s, int n) {
    const auto from = s->memory(tensor({2, 16, 6, 6 + 2 * n}, formats().nchw));
    const auto to = s->memory(blocked(n));
    s->run(s->keep([&](mkldnn_primitive_desc_t *pd) {
      return s->api().reorder_primitive_desc_create_v2(pd, from, to, nullptr);
    }));
  });
}

TEST(inner_product, EXACT, BOUND) {
  check_growth("inner product", [](Session *s, int n) {
    const mkldnn_memory_desc_t src = tensor({4, 24 + n}, mkldnn_nc),
                               weights = tensor({10, 24 + n}, formats().oi),
                               dst = tensor({4, 10}, mkldnn_nc);
    mkldnn_inner_product_desc_t d;
    CHECK_OK(mkldnn_inner_product_forward_desc_init(&d, mkldnn_forward_training, &src, &weights,
                                                    nullptr, &dst));
    s->run(s->operation(&d));
  });
}

// The bound holds while different shapes go by, in the process too.
TEST(process_stays_within, EXACT, "MKLDNN_OPCACHE_MEMORY=8M") {
  fill_tables();
  {
    Session s(through());
    convolution(&s, 200, 2);
  }
  const double before = taken() - kept();
  double most = 0;
  for (int n = 0; n < 200; ++n) {
    {
      Session s(through());
      convolution(&s, n, n % 3);
    }
    CHECK_TEXT(kept() <= 8 << 20, n << ": " << kept());
    most = std::max(most, taken() - before);
  }
  CHECK_TEXT(most < 1.1 * (8 << 20), most);
  CHECK(number(stats(), "memory/evictions") > 100);
  CHECK(kept() > 7 << 20);
}

namespace {

const char *const kAllocators[] = {"malloc", "free",   "posix_memalign", "_Znwm", "_Znam",
                                   "_ZdlPv", "_ZdaPv", "mmap",           "munmap"};

struct link_map *mkldnn() {
  void *const handle = dlopen("libmkldnn.so.0", RTLD_NOLOAD | RTLD_LAZY);
  struct link_map *map = nullptr;
  REQUIRE(handle != nullptr && dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0);
  return map;
}

// Every word that the dynamic linker put an address of a named thing in, by its name.
std::multimap<std::string, void *> got() {
  struct link_map *const map = mkldnn();
  const ElfW(Sym) *symbols = nullptr;
  const char *names = nullptr;
  const ElfW(Rela) * tables[2] = {};
  size_t bytes[2] = {};
  for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; ++d) {
    const auto at = d->d_un.d_ptr;
    if (d->d_tag == DT_SYMTAB) symbols = reinterpret_cast<const ElfW(Sym) *>(at);
    if (d->d_tag == DT_STRTAB) names = reinterpret_cast<const char *>(at);
    if (d->d_tag == DT_JMPREL) tables[0] = reinterpret_cast<const ElfW(Rela) *>(at);
    if (d->d_tag == DT_RELA) tables[1] = reinterpret_cast<const ElfW(Rela) *>(at);
    if (d->d_tag == DT_PLTRELSZ) bytes[0] = d->d_un.d_val;
    if (d->d_tag == DT_RELASZ) bytes[1] = d->d_un.d_val;
  }
  REQUIRE(symbols != nullptr && names != nullptr);
  std::multimap<std::string, void *> all;
  for (int table = 0; table < 2; ++table) {
    for (size_t i = 0; i < bytes[table] / sizeof(ElfW(Rela)); ++i) {
      const ElfW(Rela) &r = tables[table][i];
      const unsigned symbol = static_cast<unsigned>(ELF64_R_SYM(r.r_info));
      if (symbol == 0) continue;
      all.emplace(names + symbols[symbol].st_name,
                  *reinterpret_cast<void **>(map->l_addr + r.r_offset));
    }
  }
  return all;
}

// How the pages of the library are protected.
std::string protections() {
  std::ifstream maps("/proc/self/maps");
  std::string all;
  for (std::string line; std::getline(maps, line);) {
    if (line.find("libmkldnn.so.0") != std::string::npos) all += line + "\n";
  }
  return all;
}

void work() {
  Session s(through());
  convolution(&s, 3, 0);
  CHECK_OK(s.status());
}

}  // namespace

TEST(untouched_without_a_bound) {
  const auto before = got();
  const std::string pages = protections();
  CHECK(before.size() > 50);
  work();
  CHECK(got() == before);
  CHECK(protections() == pages);
  CHECK(number(stats(), "totals/primitives_created") > 0);
  CHECK_EQ(stats()["memory"].type, 'n');
}

TEST(only_allocators_are_led_through_here) {
  const auto before = got();
  const std::string pages = protections();
  CHECK_EQ(mkldnn_opcache_set_memory(1 << 30), 0);
  CHECK(got() == before);  // nothing was created yet
  work();
  const auto after = got();
  REQUIRE(after.size() == before.size());
  std::set<std::string> changed;
  for (auto a = before.begin(), b = after.begin(); a != before.end(); ++a, ++b) {
    if (*a == *b) continue;
    changed.insert(a->first);
    Dl_info info;
    REQUIRE(dladdr(b->second, &info) != 0);
    CHECK_TEXT(std::string(info.dli_fname).find("libmkldnn_opcache") != std::string::npos,
               info.dli_fname);
  }
  std::set<std::string> expected;
  for (const char *name : kAllocators) {
    if (before.count(name) > 0) expected.insert(name);
  }
  CHECK(changed == expected);
  CHECK(expected.count("posix_memalign") == 1 && expected.count("mmap") == 1);
  CHECK_TEXT(protections() == pages, protections());
  CHECK_EQ(stats()["memory/measured"].text, "true");
  // The library that the words lead to cannot be unloaded.
  Dl_info own;
  REQUIRE(dladdr(after.find("mmap")->second, &own) != 0);
  void *const library = dlopen(own.dli_fname, RTLD_NOLOAD | RTLD_LAZY);
  REQUIRE(library != nullptr);
  for (int i = 0; i < 5; ++i) dlclose(library);
  void *const still = dlopen(own.dli_fname, RTLD_NOLOAD | RTLD_LAZY);
  CHECK(still == library);
  // Without the bound again, everything goes on.
  CHECK_EQ(mkldnn_opcache_set_memory(MKLDNN_OPCACHE_NO_MEMORY_BOUND), 0);
  mkldnn_opcache_clear();
  work();
}

// A forked child measures and evicts on.
TEST(forked_child, BOUND) {
  work();
  const pid_t pid = fork();
  if (pid == 0) {
    alarm(20);
    CHECK_EQ(mkldnn_opcache_set_memory(0), 0);
    CHECK_EQ(kept(), 0);
    CHECK_EQ(mkldnn_opcache_set_memory(1 << 30), 0);
    mkldnn_primitive_desc_t pd = nullptr;
    const mkldnn_memory_desc_t md = tensor({77}, mkldnn_x);
    CHECK_OK(through().memory_primitive_desc_create(&pd, &md, engine()));
    CHECK_OK(through().primitive_desc_destroy(pd));
    CHECK(kept() > 0);
    CHECK_EQ(stats()["memory/measured"].text, "true");
    _exit(check::failures() > 0 ? 1 : 0);
  }
  int status = 0;
  REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid);
  CHECK_EQ(status, 0);
  work();
}
