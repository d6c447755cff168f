// What the library does not know it passes through: an unknown MKL-DNN, an unknown kind of
// primitive, a layout that it does not describe. It says so once.
#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "everything_twice.h"
#include "folder.h"

using namespace workload;

TEST(unknown_build_passes_through) {
  const check::Outcome outcome =
      check::run_scene("everything_twice", {"MKLDNN_OPCACHE_ASSUME="});  // as if unset
  CHECK_EQ(outcome.exit_code, 0);
  CHECK_EQ(outcome.out.size(), 40);
  CHECK_EQ(
      outcome.err,
      "opcache: libmkldnn.so.0 with build-id '" + outcome.out +
          "' is not one this library knows (v0.14, v0.17.4, v0.19 as released with MXNet); not "
          "caching. If it was built from one of these sources, set MKLDNN_OPCACHE_ASSUME to "
          "it\n");
}

// What the headers of a damaged library say of its notes is not believed.
TEST(notes_that_are_nowhere) {
  const Folder folder({"libmkldnn.so.0"});
  Dl_info found = {};
  REQUIRE(dladdr(beneath("mkldnn_engine_create"), &found) != 0);
  std::string bytes = read(found.dli_fname);
  ElfW(Ehdr) header;
  memcpy(&header, bytes.data(), sizeof(header));
  int notes = 0;
  for (int i = 0; i < header.e_phnum; ++i) {
    char *const at = &bytes[header.e_phoff + i * sizeof(ElfW(Phdr))];
    ElfW(Phdr) segment;
    memcpy(&segment, at, sizeof(segment));
    if (segment.p_type != PT_NOTE) continue;
    ++notes;
    segment.p_vaddr = 1ull << 40;
    memcpy(at, &segment, sizeof(segment));
  }
  REQUIRE(notes > 0);
  std::ofstream(folder.path + "/libmkldnn.so.0", std::ios::binary) << bytes;
  const char *const outer = getenv("LD_LIBRARY_PATH");
  const check::Outcome outcome =
      check::run_scene("everything_twice",
                       {"LD_LIBRARY_PATH=" + folder.path + ":" + (outer != nullptr ? outer : "")});
  CHECK_EQ(outcome.exit_code, 0);
  CHECK_EQ(outcome.out, "");
  CHECK_EQ(outcome.err.substr(0, 42), "opcache: libmkldnn.so.0 with build-id '' i");
}

TEST(unknown_assumption_passes_through) {
  for (const char *wrong : {"v0.15", "0.17.4", "v0.17.4 ", "V0.14", "v0.1", "0x14"}) {
    check::run_well("everything_twice", {std::string("MKLDNN_OPCACHE_ASSUME=") + wrong},
                    std::string("opcache: MKLDNN_OPCACHE_ASSUME=") + wrong +
                        " is not a release this library knows (v0.14, v0.17.4, v0.19); not "
                        "caching\n");
  }
}

CACHED_SCENE(shuffle_twice) {
  for (int round = 0; round < 3; ++round) {
    CHECK_EQ(made_by_call(engine, kShuffle, 4, 10 * round), 1);
    CHECK_EQ(last_execution().content, content(engine, kShuffle, 4));
    call(engine, kReluBackward, 4, 10 * round);
  }
  const operation::OpDesc op = op_desc(kShuffle, 4);
  CHECK_OK(Iterator(engine, op).next());
  const Stats stats;
  CHECK_EQ(stats["bypasses/unknown_kind"], 4);
  CHECK_EQ(stats["operators/other/primitives_created"], 3);
  CHECK_EQ(stats["operators/_backward_Activation/primitives_avoided"], 2);
}

TEST(unknown_kind_is_said_once) {
  check::run_well("shuffle_twice", {ASSUME}, check::passing_through("unknown_kind"));
}

CACHED_SCENE(strange_layout_twice) {
  operation::OpDesc op = op_desc(kReluForward, 4);
  op.eltwise.data_desc.format = mkldnn_ldgoi_p;
  for (int round = 0; round < 3; ++round) {
    CHECK_EQ(descriptors_made_by([&] {
               const Described pd(engine, op);
               Bound(engine, pd, 0).run(fake_content(pd));
             }),
             1);
  }
  CHECK_EQ(Stats()["bypasses/unknown_description"], 3);
}

TEST(unknown_layout_is_said_once) {
  check::run_well("strange_layout_twice", {ASSUME}, check::passing_through("unknown_description"));
}

// More inputs than a key holds: passed through, counted, no line.
CACHED_TEST(key_too_large) {
  const int kMany = 1500;
  const Described input(engine, image(4));
  std::vector<const_mkldnn_primitive_desc_t> inputs(kMany, input);
  for (int round = 0; round < 2; ++round) {
    Described pd;
    CHECK_OK(mkldnn_concat_primitive_desc_create(&pd.handle, nullptr, kMany, 1, inputs.data()));
    CHECK_EQ(mkldnn_primitive_desc_query_s32(pd, mkldnn_query_num_of_inputs_s32, 0), kMany);
  }
  CHECK_EQ(Stats()["bypasses/key_too_large"], 2);
}
