// A cached primitive reads and writes what its caller's memory objects point to at the moment of
// each execution: after reuse, after the data moved, in eager and lazy streams, and when an input
// is the output of another primitive.
#include "workload.h"

using namespace workload;

#define ASSUME "MKLDNN_OPCACHE_ASSUME=v0.17.4"

TEST(reused_primitive_reads_the_new_callers_data, ASSUME) {
  on_thread([] {
    Engine engine;
    for (const What what : {kReluBackward, kConvolutionBackwardWeights, kBatchNormBackward,
                            kReorder, kSum, kConcat}) {
      const Described described(engine.handle, what, 4);
      const uint64_t expected = content(engine.handle, what, 4);
      Bound(engine.handle, described.pd, 0).run(expected);
      CHECK_EQ(primitives_made_by([&] {
                 Bound(engine.handle, described.pd, 100).run(expected);
                 Bound(engine.handle, described.pd, 200).run(expected);
               }),
               0);
    }
  });
  check_no_misuse();
}

TEST(data_that_moves_between_submits_is_followed, ASSUME) {
  on_thread([] {
    Engine engine;
    const Described relu(engine.handle, kReluBackward, 4);
    Bound bound(engine.handle, relu.pd, 0);
    bound.run();
    // Nothing moved: nothing is set.
    const long set = fake_calls("memory_set_data_handle");
    bound.run();
    CHECK_EQ(fake_calls("memory_set_data_handle"), set);
    for (int moved = 0; moved < 3; ++moved) {
      bound.memories[static_cast<size_t>(moved)]->point_to(buffer(50 + moved));
      Stream stream(mkldnn_eager);
      stream.submit(bound.handle);
      const FakeExecution e = fake_execution(fake_executions() - 1);
      for (int i = 0; i < 3; ++i) CHECK_EQ(e.data[i], buffer(i <= moved ? 50 + i : i));
    }
    bound.check_log(50, 0);
  });
  check_no_misuse();
}

TEST(several_in_one_submit, ASSUME) {
  on_thread([] {
    Engine engine;
    const Described relu(engine.handle, kReluBackward, 4);
    const int kMany = 20;  // more than a stream holds without allocating
    std::vector<std::unique_ptr<Bound>> bounds;
    std::vector<mkldnn_primitive_t> handles;
    for (int round = 0; round < 2; ++round) {
      handles.clear();
      bounds.clear();
      for (int i = 0; i < kMany; ++i) {
        bounds.push_back(std::make_unique<Bound>(engine.handle, relu.pd, 10 * (i + round)));
        handles.push_back(bounds.back()->handle);
      }
      Stream stream(mkldnn_eager);
      const long before = fake_executions();
      CHECK_OK(mkldnn_stream_submit(stream.handle, handles.size(), handles.data(), nullptr));
      CHECK_EQ(fake_executions(), before + kMany);
      for (int i = 0; i < kMany; ++i) {
        CHECK_EQ(fake_execution(before + i).data[0], buffer(10 * (i + round)));
      }
      stream.wait();
    }
  });
  check_no_misuse();
}

TEST(lazy_stream_executes_in_wait, ASSUME) {
  on_thread([] {
    Engine engine;
    const Described relu(engine.handle, kReluBackward, 4);
    Bound a(engine.handle, relu.pd, 0), b(engine.handle, relu.pd, 10);
    Stream stream(mkldnn_lazy);
    const long before = fake_executions();
    stream.submit(a.handle);
    stream.submit(b.handle);
    CHECK_EQ(fake_executions(), before);
    // The data may still move until then.
    for (int i = 0; i < 3; ++i) a.memories[static_cast<size_t>(i)]->point_to(buffer(30 + i));
    stream.wait();
    CHECK_EQ(fake_executions(), before + 2);
    for (int i = 0; i < 3; ++i) {
      CHECK_EQ(fake_execution(before).data[i], buffer(30 + i));
      CHECK_EQ(fake_execution(before + 1).data[i], buffer(10 + i));
    }
  });
  check_no_misuse();
}

TEST(rerun_follows_the_data, ASSUME) {
  on_thread([] {
    Engine engine;
    const Described relu(engine.handle, kReluBackward, 4);
    for (const mkldnn_stream_kind_t kind : {mkldnn_eager, mkldnn_lazy}) {
      Bound a(engine.handle, relu.pd, 0), b(engine.handle, relu.pd, 10);
      Stream stream(kind);
      stream.submit(a.handle);
      stream.submit(b.handle);
      for (int round = 1; round < 4; ++round) {
        stream.wait();
        for (int i = 0; i < 3; ++i) {
          b.memories[static_cast<size_t>(i)]->point_to(buffer(100 * round + i));
        }
        const long before = fake_executions();
        CHECK_OK(mkldnn_stream_rerun(stream.handle, nullptr));
        CHECK_EQ(fake_executions(), before + 2);
        for (int i = 0; i < 3; ++i) {
          CHECK_EQ(fake_execution(before).data[i], buffer(i));
          CHECK_EQ(fake_execution(before + 1).data[i], buffer(100 * round + i));
        }
      }
      // After wait a stream takes nothing more.
      CHECK_EQ(mkldnn_stream_submit(stream.handle, 1, &a.handle, nullptr),
               mkldnn_invalid_arguments);
    }
  });
  check_no_misuse();
}

// Before a wait, and again before the next one, a rerun is refused: the caller may have destroyed
// what it submitted.
TEST(refused_rerun_touches_nothing, ASSUME, "MKLDNN_OPCACHE=activation",
     "MKLDNN_OPCACHE_CAPACITY=1") {
  on_thread([] {
    Engine engine;
    const Described relu(engine.handle, kReluBackward, 4);
    const Bound kept(engine.handle, relu.pd, 0);
    Stream never_waited(mkldnn_eager), once_rerun(mkldnn_eager);
    {
      const Bound gone(engine.handle, relu.pd, 10);
      never_waited.submit(gone.handle);
      once_rerun.submit(gone.handle);
      once_rerun.wait();
      CHECK_OK(mkldnn_stream_rerun(once_rerun.handle, nullptr));
    }  // beyond the capacity: really destroyed
    for (const Stream *stream : {&never_waited, &once_rerun}) {
      CHECK_EQ(mkldnn_stream_rerun(stream->handle, nullptr), mkldnn_invalid_arguments);
    }
  });
  check_no_misuse();
}

// What a failed submit was given is not the stream's: the caller may destroy it before a rerun.
// (One operator in scope: memory objects are really destroyed, so that touching one shows.)
TEST(failed_submit_leaves_nothing_in_the_stream, ASSUME, "MKLDNN_OPCACHE=activation",
     "MKLDNN_OPCACHE_CAPACITY=1") {
  on_thread([] {
    Engine engine;
    const Described relu(engine.handle, kReluBackward, 4);
    Bound first(engine.handle, relu.pd, 0);
    Stream stream(mkldnn_eager);
    stream.submit(first.handle);
    stream.wait();
    {
      Bound second(engine.handle, relu.pd, 10);
      CHECK_EQ(mkldnn_stream_submit(stream.handle, 1, &second.handle, nullptr),
               mkldnn_invalid_arguments);
    }  // beyond the capacity: really destroyed
    const long before = fake_executions();
    CHECK_OK(mkldnn_stream_rerun(stream.handle, nullptr));
    CHECK_EQ(fake_executions(), before + 1);
    first.check_log(0, 0);

    // The same in a lazy stream, where wait executes.
    Stream lazy(mkldnn_lazy);
    lazy.submit(first.handle);
    {
      Bound second(engine.handle, relu.pd, 10);
      fake_fail("stream_submit", 1, 0, mkldnn_runtime_error);
      CHECK_EQ(mkldnn_stream_submit(lazy.handle, 1, &second.handle, nullptr), mkldnn_runtime_error);
    }
    lazy.wait();
    first.check_log(0, 0);
  });
  check_no_misuse();
}

// An input may be an output of another primitive; what counts is the memory object behind it.
static void chain(What first, What second) {
  Engine engine;
  const Described one(engine.handle, first, 4), two(engine.handle, second, 4);
  for (int round = 0; round < 3; ++round) {
    const int base = 100 * round;
    Bound a(engine.handle, one.pd, base);
    Memory out(engine.handle, buffer(base + 50));
    std::vector<mkldnn_primitive_at_t> inputs;
    std::vector<std::unique_ptr<Memory>> others;
    const int n = mkldnn_primitive_desc_query_s32(two.pd, mkldnn_query_num_of_inputs_s32, 0);
    for (int i = 0; i + 1 < n; ++i) {
      others.push_back(std::make_unique<Memory>(engine.handle, buffer(base + 60 + i)));
      inputs.push_back(mkldnn_primitive_at(others.back()->handle, 0));
    }
    inputs.push_back(mkldnn_primitive_at(a.handle, a.outputs.size() - 1));
    const_mkldnn_primitive_t outputs[] = {out.handle};
    mkldnn_primitive_t b = nullptr;
    CHECK_OK(mkldnn_primitive_create(&b, two.pd, inputs.data(), outputs));
    for (int step = 0; step < 2; ++step) {
      if (step == 1) a.memories.back()->point_to(buffer(base + 90));
      Stream stream(mkldnn_eager);
      stream.submit(a.handle);
      stream.submit(b);
      stream.wait();
      const FakeExecution produced = fake_execution(fake_executions() - 2);
      const FakeExecution consumed = fake_execution(fake_executions() - 1);
      void *const between = produced.data[produced.inputs + produced.outputs - 1];
      CHECK_EQ(between, step == 0 ? buffer(base + static_cast<int>(a.memories.size()) - 1)
                                  : buffer(base + 90));
      CHECK_EQ(consumed.data[n - 1], between);
      CHECK_EQ(consumed.data[n], buffer(base + 50));
    }
    // The consumer alone follows the data too, though the producer did not run since.
    a.memories.back()->point_to(buffer(base + 95));
    Stream stream(mkldnn_eager);
    stream.submit(b);
    stream.wait();
    CHECK_EQ(fake_execution(fake_executions() - 1).data[n - 1], buffer(base + 95));
    CHECK_OK(mkldnn_primitive_destroy(b));
  }
}

TEST(input_is_an_output_both_cached, ASSUME) {
  on_thread([] {
    chain(kReorder, kReluBackward);
    chain(kConvolutionBackwardWeights, kReluBackward);  // its second output
  });
  check_no_misuse();
  CHECK(Stats()["operators/_backward_Activation/primitives_avoided"] > 0);
}

TEST(input_is_an_output_of_an_uncached_one, ASSUME, "MKLDNN_OPCACHE=activation") {
  on_thread([] { chain(kReorder, kReluBackward); });
  check_no_misuse();
  CHECK(Stats()["operators/_backward_Activation/primitives_avoided"] > 0);
  CHECK_EQ(Stats()["operators/reorder/primitives_avoided"], 0);
}

TEST(output_of_a_cached_one_is_an_uncached_ones_input, ASSUME, "MKLDNN_OPCACHE=reorder") {
  on_thread([] { chain(kReorder, kReluBackward); });
  check_no_misuse();
  CHECK(Stats()["operators/reorder/primitives_avoided"] > 0);
  CHECK_EQ(Stats()["operators/_backward_Activation/primitives_avoided"], 0);
}

// A view has no data handle of its own: passed through, counted, and still right.
TEST(view_as_input_is_passed_through, ASSUME) {
  on_thread([] {
    Engine engine;
    const mkldnn_memory_desc_t whole = image(4);
    mkldnn_primitive_desc_t parent = nullptr, view_pd = nullptr;
    CHECK_OK(mkldnn_memory_primitive_desc_create(&parent, &whole, engine.handle));
    const int dims[] = {1, 1, 4, 4}, offsets[] = {0, 1, 0, 0};
    CHECK_OK(mkldnn_view_primitive_desc_create(&view_pd, parent, dims, offsets));
    Memory memory(engine.handle, whole, buffer(0)), out(engine.handle, buffer(1));
    const mkldnn_primitive_at_t in = mkldnn_primitive_at(memory.handle, 0);
    mkldnn_primitive_t view = nullptr, relu = nullptr;
    CHECK_OK(mkldnn_primitive_create(&view, view_pd, &in, nullptr));
    const Described pd(engine.handle, kReluForward, 4);
    const mkldnn_primitive_at_t input = mkldnn_primitive_at(view, 0);
    const_mkldnn_primitive_t output = out.handle;
    CHECK_OK(mkldnn_primitive_create(&relu, pd.pd, &input, &output));
    memory.point_to(buffer(2));
    Stream stream(mkldnn_eager);
    stream.submit(relu);
    stream.wait();
    CHECK_EQ(fake_execution(fake_executions() - 1).data[0], buffer(2));
    CHECK_EQ(fake_execution(fake_executions() - 1).data[1], buffer(1));
    CHECK_EQ(Stats()["bypasses/input_not_memory"], 1);
    CHECK_OK(mkldnn_primitive_destroy(relu));
    CHECK_OK(mkldnn_primitive_destroy(view));
    CHECK_OK(mkldnn_primitive_desc_destroy(view_pd));
    CHECK_OK(mkldnn_primitive_desc_destroy(parent));
  });
  check_no_misuse();
}

TEST(inputs_and_outputs_are_the_callers, ASSUME) {
  on_thread([] {
    Engine engine;
    const Described pd(engine.handle, kConvolutionBackwardWeights, 4);
    const Described reorder(engine.handle, kReorder, 4);
    for (int round = 0; round < 2; ++round) {
      Bound bound(engine.handle, pd.pd, 10 * round);
      mkldnn_primitive_at_t at = {nullptr, 7};
      const_mkldnn_primitive_t output = nullptr;
      for (size_t i = 0; i < 2; ++i) {
        CHECK_OK(mkldnn_primitive_get_input_at(bound.handle, i, &at));
        CHECK_EQ(at.primitive, bound.inputs[i].primitive);
        CHECK_EQ(at.output_index, 0);
        CHECK_OK(mkldnn_primitive_get_output(bound.handle, i, &output));
        CHECK_EQ(output, bound.outputs[i]);
      }
      CHECK_EQ(mkldnn_primitive_get_input_at(bound.handle, 2, &at), mkldnn_invalid_arguments);
      CHECK_EQ(mkldnn_primitive_get_output(bound.handle, 2, &output), mkldnn_invalid_arguments);
      CHECK_EQ(mkldnn_primitive_get_input_at(bound.handle, 0, nullptr), mkldnn_invalid_arguments);
      CHECK_EQ(mkldnn_primitive_get_input_at(nullptr, 0, &at), mkldnn_invalid_arguments);
      CHECK_EQ(mkldnn_primitive_get_output(bound.handle, 0, nullptr), mkldnn_invalid_arguments);
      // A memory object is its own output and has no input.
      CHECK_OK(mkldnn_primitive_get_output(bound.memories[0]->handle, 0, &output));
      CHECK_EQ(output, bound.memories[0]->handle);
      CHECK_EQ(mkldnn_primitive_get_input_at(bound.memories[0]->handle, 0, &at),
               mkldnn_invalid_arguments);
      // The descriptor behind a primitive describes it.
      const_mkldnn_primitive_desc_t behind = nullptr;
      CHECK_OK(mkldnn_primitive_get_primitive_desc(bound.handle, &behind));
      CHECK_EQ(fake_content(behind), fake_content(pd.pd));

      // An input that is an output is named as it was given.
      Memory out(engine.handle, buffer(50));
      const mkldnn_primitive_at_t input = mkldnn_primitive_at(bound.handle, 1);
      const_mkldnn_primitive_t to = out.handle;
      mkldnn_primitive_t consumer = nullptr;
      CHECK_OK(mkldnn_primitive_create(&consumer, reorder.pd, &input, &to));
      CHECK_OK(mkldnn_primitive_get_input_at(consumer, 0, &at));
      CHECK_EQ(at.primitive, bound.handle);
      CHECK_EQ(at.output_index, 1);
      CHECK_OK(mkldnn_primitive_destroy(consumer));
    }
  });
  check_no_misuse();
}

// A primitive of ours over a caller's padded memory must not write zeros into it: the caller's own
// object has seen to the padding when it was pointed there.
TEST(rebinding_pads_nothing, ASSUME) {
  on_thread([] {
    Engine engine;
    const Described relu(engine.handle, kReluForward, 4);
    const mkldnn_memory_desc_t padded = image(4, mkldnn_nChw8c);  // three channels in eight
    Memory in(engine.handle, padded, buffer(0)), out(engine.handle, padded, buffer(1));
    const long own = fake_zero_paddings();
    CHECK_EQ(own, 2);  // the fake does see padding
    for (int round = 0; round < 3; ++round) {
      const mkldnn_primitive_at_t input = mkldnn_primitive_at(in.handle, 0);
      const_mkldnn_primitive_t output = out.handle;
      mkldnn_primitive_t p = nullptr;
      CHECK_OK(mkldnn_primitive_create(&p, relu.pd, &input, &output));
      Stream stream(mkldnn_eager);
      stream.submit(p);
      stream.wait();
      CHECK_OK(mkldnn_primitive_destroy(p));
    }
    CHECK_EQ(fake_zero_paddings(), own);
  });
  check_no_misuse();
}

// Memory objects are kept too in scope all: a new one points nowhere, as if it were new.
TEST(memory_objects_are_kept, ASSUME) {
  on_thread([] {
    Engine engine;
    { Memory first(engine.handle, image(4), buffer(0)); }
    const long made = fake_created(kFakeMemory), described = fake_created(kFakeMemoryDescriptor);
    for (int round = 0; round < 5; ++round) {
      const mkldnn_memory_desc_t md = image(4);
      mkldnn_primitive_desc_t pd = nullptr;
      mkldnn_primitive_t memory = nullptr;
      void *data = buffer(9);
      CHECK_OK(mkldnn_memory_primitive_desc_create(&pd, &md, engine.handle));
      CHECK_OK(mkldnn_primitive_create(&memory, pd, nullptr, nullptr));
      CHECK_OK(mkldnn_memory_get_data_handle(memory, &data));
      CHECK(data == nullptr);
      CHECK_OK(mkldnn_memory_set_data_handle(memory, buffer(round)));
      CHECK_OK(mkldnn_memory_get_data_handle(memory, &data));
      CHECK_EQ(data, buffer(round));
      const_mkldnn_primitive_desc_t behind = nullptr;
      CHECK_OK(mkldnn_primitive_get_primitive_desc(memory, &behind));
      CHECK(mkldnn_memory_primitive_desc_equal(behind, pd) != 0);
      CHECK_OK(mkldnn_primitive_desc_destroy(pd));
      CHECK_OK(mkldnn_primitive_destroy(memory));
    }
    CHECK_EQ(fake_created(kFakeMemory), made);
    CHECK_EQ(fake_created(kFakeMemoryDescriptor), described);
    // Another layout is another memory.
    Memory other(engine.handle, image(4, mkldnn_nhwc), buffer(0));
    CHECK_EQ(fake_created(kFakeMemory), made + 1);
  });
  check_no_misuse();
}

// MXNet asks a descriptor for its layouts and clones the answers; they stay right, and the clones
// outlive the descriptor.
TEST(layouts_of_a_descriptor, ASSUME) {
  mkldnn_engine_t engine = nullptr;
  CHECK_OK(mkldnn_engine_create(&engine, mkldnn_cpu, 0));
  on_thread([&] {
    for (int round = 0; round < 3; ++round) {
      std::vector<mkldnn_primitive_desc_t> clones;
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
                mkldnn_primitive_desc_query_pd(conv.pd, layout.query, layout.index);
            REQUIRE(answer != nullptr);
            const mkldnn_memory_desc_t *md = mkldnn_primitive_desc_query_memory_d(answer);
            REQUIRE(md != nullptr);
            CHECK_EQ(md->ndims, layout.md.ndims);
            CHECK_EQ(md->dims[0], layout.md.dims[0]);
            CHECK_EQ(md->dims[1] * (md->ndims > 1), layout.md.dims[1] * (md->ndims > 1));
            mkldnn_primitive_desc_t clone = nullptr;
            CHECK_OK(mkldnn_primitive_desc_clone(&clone, answer));
            clones.push_back(clone);
          }
        }
        CHECK(mkldnn_primitive_desc_query_pd(conv.pd, mkldnn_query_workspace_pd, 0) == nullptr);
        CHECK(mkldnn_primitive_desc_query_pd(nullptr, mkldnn_query_src_pd, 0) == nullptr);
      }
      for (mkldnn_primitive_desc_t clone : clones) {
        CHECK(mkldnn_primitive_desc_query_memory_d(clone) != nullptr);
        CHECK_OK(mkldnn_primitive_desc_destroy(clone));
      }
    }
  });
  CHECK_OK(mkldnn_engine_destroy(engine));
  check_all_gone();
}
