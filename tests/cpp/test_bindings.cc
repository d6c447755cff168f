// A cached primitive reads and writes what its caller's memory objects point to at the moment of
// each execution: after reuse, after the data moved, in eager and lazy streams, and when an input
// is the output of another primitive.
#include "workload.h"

using namespace workload;

CACHED_TEST(reused_primitive_reads_the_new_callers_data) {
  for (const What what :
       {kReluBackward, kConvolutionBackwardWeights, kBatchNormBackward, kReorder, kSum, kConcat}) {
    const Described described(engine, what, 4);
    const uint64_t expected = content(engine, what, 4);
    Bound(engine, described, 0).run(expected);
    CHECK_EQ(primitives_made_by([&] {
               Bound(engine, described, 100).run(expected);
               Bound(engine, described, 200).run(expected);
             }),
             0);
  }
}

CACHED_TEST(data_that_moves_between_submits_is_followed) {
  const Described relu(engine, kReluBackward, 4);
  Bound bound(engine, relu, 0);
  bound.run();
  // Nothing moved: nothing is set.
  const long set = fake_calls("memory_set_data_handle");
  bound.run();
  CHECK_EQ(fake_calls("memory_set_data_handle"), set);
  for (int moved = 0; moved < 3; ++moved) {
    bound.memories[static_cast<size_t>(moved)].point_to(buffer(50 + moved));
    Stream stream(mkldnn_eager);
    stream.submit(bound);
    const FakeExecution e = last_execution();
    for (int i = 0; i < 3; ++i) CHECK_EQ(e.data[i], buffer(i <= moved ? 50 + i : i));
  }
  bound.check_log(50);
}

CACHED_TEST(several_in_one_submit) {
  const Described relu(engine, kReluBackward, 4);
  const int kMany = 20;  // more than a stream holds without allocating
  std::vector<Bound> bounds;
  std::vector<mkldnn_primitive_t> handles;
  for (int round = 0; round < 2; ++round) {
    handles.clear();
    bounds.clear();
    for (int i = 0; i < kMany; ++i) {
      bounds.emplace_back(engine, relu, 10 * (i + round));
      handles.push_back(bounds.back().handle);
    }
    Stream stream(mkldnn_eager);
    const long before = fake_executions();
    CHECK_OK(mkldnn_stream_submit(stream, handles.size(), handles.data(), nullptr));
    CHECK_EQ(fake_executions(), before + kMany);
    for (int i = 0; i < kMany; ++i) {
      bounds[static_cast<size_t>(i)].check_log(10 * (i + round), 0, fake_execution(before + i));
    }
    stream.wait();
  }
}

CACHED_TEST(lazy_stream_executes_in_wait) {
  const Described relu(engine, kReluBackward, 4);
  Bound a(engine, relu, 0), b(engine, relu, 10);
  Stream stream(mkldnn_lazy);
  const long before = fake_executions();
  stream.submit(a);
  stream.submit(b);
  CHECK_EQ(fake_executions(), before);
  // The data may still move until then.
  a.move_to(30);
  stream.wait();
  CHECK_EQ(fake_executions(), before + 2);
  a.check_log(30, 0, fake_execution(before));
  b.check_log(10, 0, fake_execution(before + 1));
}

CACHED_TEST(rerun_follows_the_data) {
  const Described relu(engine, kReluBackward, 4);
  for (const mkldnn_stream_kind_t kind : {mkldnn_eager, mkldnn_lazy}) {
    Bound a(engine, relu, 0), b(engine, relu, 10);
    Stream stream(kind);
    stream.submit(a);
    stream.submit(b);
    for (int round = 1; round < 4; ++round) {
      stream.wait();
      b.move_to(100 * round);
      const long before = fake_executions();
      stream.rerun();
      CHECK_EQ(fake_executions(), before + 2);
      a.check_log(0, 0, fake_execution(before));
      b.check_log(100 * round, 0, fake_execution(before + 1));
    }
    // After wait a stream takes nothing more.
    CHECK_EQ(stream.try_submit(a), mkldnn_invalid_arguments);
  }
}

// Before a wait, and again before the next one, a rerun is refused: the caller may have destroyed
// what it submitted.
CACHED_TEST(refused_rerun_touches_nothing, SCOPE("activation"), CAPACITY(1)) {
  const Described relu(engine, kReluBackward, 4);
  const Bound kept(engine, relu, 0);
  Stream never_waited(mkldnn_eager), once_rerun(mkldnn_eager);
  {
    const Bound gone(engine, relu, 10);
    never_waited.submit(gone);
    once_rerun.submit(gone);
    once_rerun.wait();
    once_rerun.rerun();
  }  // beyond the capacity: really destroyed
  for (const Stream *stream : {&never_waited, &once_rerun}) {
    CHECK_EQ(mkldnn_stream_rerun(*stream, nullptr), mkldnn_invalid_arguments);
  }
}

// What a failed submit was given is not the stream's: the caller may destroy it before a rerun.
// (One operator in scope: memory objects are really destroyed, so that touching one shows.)
CACHED_TEST(failed_submit_leaves_nothing_in_the_stream, SCOPE("activation"), CAPACITY(1)) {
  const Described relu(engine, kReluBackward, 4);
  Bound first(engine, relu, 0);
  Stream stream(mkldnn_eager);
  stream.submit(first);
  stream.wait();
  {
    Bound second(engine, relu, 10);
    CHECK_EQ(stream.try_submit(second), mkldnn_invalid_arguments);
  }  // beyond the capacity: really destroyed
  const long before = fake_executions();
  stream.rerun();
  CHECK_EQ(fake_executions(), before + 1);
  first.check_log(0);

  // The same in a lazy stream, where wait executes.
  Stream lazy(mkldnn_lazy);
  lazy.submit(first);
  {
    Bound second(engine, relu, 10);
    fake_fail("stream_submit", 1, 0, mkldnn_runtime_error);
    CHECK_EQ(lazy.try_submit(second), mkldnn_runtime_error);
  }
  lazy.wait();
  first.check_log(0);
}

// An input may be an output of another primitive; what counts is the memory object behind it.
static void chain(What first, What second) {
  Engine engine;
  const Described one(engine, first, 4), two(engine, second, 4);
  const int n = mkldnn_primitive_desc_query_s32(two, mkldnn_query_num_of_inputs_s32, 0);
  for (int base = 0; base < 300; base += 100) {
    Bound a(engine, one, base);
    const Memory out(engine, buffer(base + 50));
    std::vector<mkldnn_primitive_at_t> inputs;
    std::vector<Memory> others;
    for (int i = 0; i + 1 < n; ++i) {
      others.emplace_back(engine, buffer(base + 60 + i));
      inputs.push_back({others.back(), 0});
    }
    inputs.push_back({a, a.outputs.size() - 1});
    const Primitive b(two, inputs, {out});
    for (const int moved : {static_cast<int>(a.memories.size()) - 1, 90}) {
      a.memories.back().point_to(buffer(base + moved));
      Stream stream(mkldnn_eager);
      stream.submit(a);
      stream.submit(b);
      stream.wait();
      const FakeExecution produced = fake_execution(fake_executions() - 2);
      const FakeExecution consumed = last_execution();
      void *const between = produced.data[produced.inputs + produced.outputs - 1];
      CHECK_EQ(between, buffer(base + moved));
      CHECK_EQ(consumed.data[n - 1], between);
      CHECK_EQ(consumed.data[n], buffer(base + 50));
    }
    // The consumer alone follows the data too, though the producer did not run since.
    a.memories.back().point_to(buffer(base + 95));
    execute(b);
    CHECK_EQ(last_execution().data[n - 1], buffer(base + 95));
  }
}

// Whether a primitive of either was reused.
static void check_reused(bool relu, bool reorder) {
  check_no_misuse();
  CHECK_EQ(Stats()["operators/_backward_Activation/primitives_avoided"] > 0, relu);
  CHECK_EQ(Stats()["operators/reorder/primitives_avoided"] > 0, reorder);
}

TEST(input_is_an_output_both_cached, ASSUME) {
  on_thread([] {
    chain(kReorder, kReluBackward);
    chain(kConvolutionBackwardWeights, kReluBackward);  // its second output
  });
  check_reused(true, true);
}

TEST(input_is_an_output_of_an_uncached_one, ASSUME, SCOPE("activation")) {
  on_thread([] { chain(kReorder, kReluBackward); });
  check_reused(true, false);
}

TEST(output_of_a_cached_one_is_an_uncached_ones_input, ASSUME, SCOPE("reorder")) {
  on_thread([] { chain(kReorder, kReluBackward); });
  check_reused(false, true);
}

// A view has no data handle of its own: passed through, counted, and still right.
CACHED_TEST(view_as_input_is_passed_through) {
  const Described parent(engine, image(4)), pd(engine, kReluForward, 4);
  Described view_pd;
  const int dims[] = {1, 1, 4, 4}, offsets[] = {0, 1, 0, 0};
  CHECK_OK(mkldnn_view_primitive_desc_create(&view_pd.handle, parent, dims, offsets));
  Memory memory(engine, image(4), buffer(0)), out(engine, buffer(1));
  const Primitive view(view_pd, {{memory, 0}}), relu(pd, {{view, 0}}, {out});
  memory.point_to(buffer(2));
  execute(relu);
  CHECK_EQ(last_execution().data[0], buffer(2));
  CHECK_EQ(last_execution().data[1], buffer(1));
  CHECK_EQ(Stats()["bypasses/input_not_memory"], 1);
}

CACHED_TEST(inputs_and_outputs_are_the_callers) {
  const Described pd(engine, kConvolutionBackwardWeights, 4), reorder(engine, kReorder, 4);
  const mkldnn_status_t bad = mkldnn_invalid_arguments;
  for (int round = 0; round < 2; ++round) {
    const Bound bound(engine, pd, 10 * round);
    mkldnn_primitive_at_t at = {nullptr, 7};
    const_mkldnn_primitive_t output = nullptr;
    for (size_t i = 0; i < 2; ++i) {
      CHECK_OK(mkldnn_primitive_get_input_at(bound, i, &at));
      CHECK_EQ(at.primitive, bound.inputs[i].primitive);
      CHECK_EQ(at.output_index, 0);
      CHECK_OK(mkldnn_primitive_get_output(bound, i, &output));
      CHECK_EQ(output, bound.outputs[i]);
    }
    CHECK_EQ(mkldnn_primitive_get_input_at(bound, 2, &at), bad);
    CHECK_EQ(mkldnn_primitive_get_output(bound, 2, &output), bad);
    CHECK_EQ(mkldnn_primitive_get_input_at(bound, 0, nullptr), bad);
    CHECK_EQ(mkldnn_primitive_get_input_at(nullptr, 0, &at), bad);
    CHECK_EQ(mkldnn_primitive_get_output(bound, 0, nullptr), bad);
    // A memory object is its own output and has no input.
    CHECK_OK(mkldnn_primitive_get_output(bound.memories[0], 0, &output));
    CHECK_EQ(output, bound.memories[0].handle);
    CHECK_EQ(mkldnn_primitive_get_input_at(bound.memories[0], 0, &at), bad);
    // The descriptor behind a primitive describes it.
    CHECK_EQ(content_behind(bound), fake_content(pd));

    // An input that is an output is named as it was given.
    const Memory out(engine, buffer(50));
    const Primitive consumer(reorder, {{bound, 1}}, {out});
    CHECK_OK(mkldnn_primitive_get_input_at(consumer, 0, &at));
    CHECK_EQ(at.primitive, bound.handle);
    CHECK_EQ(at.output_index, 1);
  }
}

// A primitive of ours over a caller's padded memory must not write zeros into it: the caller's own
// object has seen to the padding when it was pointed there.
CACHED_TEST(rebinding_pads_nothing) {
  const Described relu(engine, kReluForward, 4);
  const mkldnn_memory_desc_t padded = image(4, mkldnn_nChw8c);  // three channels in eight
  const Memory in(engine, padded, buffer(0)), out(engine, padded, buffer(1));
  const long own = fake_zero_paddings();
  CHECK_EQ(own, 2);  // the fake does see padding
  for (int round = 0; round < 3; ++round) execute(Primitive(relu, {{in, 0}}, {out}));
  CHECK_EQ(fake_zero_paddings(), own);
}

// Memory objects are kept too in scope all: a new one points nowhere, as if it were new.
CACHED_TEST(memory_objects_are_kept) {
  { Memory first(engine, image(4), buffer(0)); }
  const long made = fake_created(kFakeMemory), described = fake_created(kFakeMemoryDescriptor);
  for (int round = 0; round < 5; ++round) {
    const Described pd(engine, image(4));
    Memory memory(engine, image(4));
    CHECK(memory.data() == nullptr);
    memory.point_to(buffer(round));
    CHECK_EQ(memory.data(), buffer(round));
    const_mkldnn_primitive_desc_t behind = nullptr;
    CHECK_OK(mkldnn_primitive_get_primitive_desc(memory, &behind));
    CHECK(mkldnn_memory_primitive_desc_equal(behind, pd) != 0);
  }
  CHECK_EQ(fake_created(kFakeMemory), made);
  CHECK_EQ(fake_created(kFakeMemoryDescriptor), described);
  // Another layout is another memory.
  Memory other(engine, image(4, mkldnn_nhwc), buffer(0));
  CHECK_EQ(fake_created(kFakeMemory), made + 1);
}

// MXNet asks a descriptor for its layouts and clones the answers; they stay right, and the clones
// outlive the descriptor.
CACHED_TEST(layouts_of_a_descriptor) {
  for (int round = 0; round < 3; ++round) {
    std::vector<Described> clones;
    {
      const Described conv(engine, kConvolutionBackwardWeights, 4);
      const struct {
        mkldnn_query_t query;
        int index;
        mkldnn_memory_desc_t md;
      } kLayouts[] = {{mkldnn_query_src_pd, 0, image(4)},
                      {mkldnn_query_diff_weights_pd, 0, image(3)},
                      {mkldnn_query_diff_weights_pd, 1, line(3)},
                      {mkldnn_query_diff_dst_pd, 0, image(4)}};
      for (int again = 0; again < 2; ++again) {
        for (const auto &layout : kLayouts) {
          const const_mkldnn_primitive_desc_t answer =
              mkldnn_primitive_desc_query_pd(conv, layout.query, layout.index);
          REQUIRE(answer != nullptr);
          const mkldnn_memory_desc_t *md = mkldnn_primitive_desc_query_memory_d(answer);
          REQUIRE(md != nullptr);
          CHECK_EQ(md->ndims, layout.md.ndims);
          CHECK_EQ(md->dims[0], layout.md.dims[0]);
          CHECK_EQ(md->dims[1] * (md->ndims > 1), layout.md.dims[1] * (md->ndims > 1));
          clones.push_back(Described::clone_of(answer));
        }
      }
      CHECK(mkldnn_primitive_desc_query_pd(conv, mkldnn_query_workspace_pd, 0) == nullptr);
      CHECK(mkldnn_primitive_desc_query_pd(nullptr, mkldnn_query_src_pd, 0) == nullptr);
    }
    for (const Described &clone : clones) {
      CHECK(mkldnn_primitive_desc_query_memory_d(clone) != nullptr);
    }
  }
}
