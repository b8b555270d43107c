#include "serve/model_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>
#include <random>
#include <thread>

#include "fovea/error.h"
#include "serve/api_error.h"

namespace fovea::serve {
namespace {

using namespace std::chrono_literals;

// Models without weights, in a pool of 100 bytes.
class Pool : public testing::Test {
 protected:
  void make(const std::vector<int64_t>& plans, ModelPoolOptions options = {}, bool resident = false) {
    options.memory_bytes = 100;
    std::vector<PooledModel> models;
    for (size_t i = 0; i < plans.size(); ++i) models.push_back({"model " + std::to_string(i), plans[i], resident});
    plans_ = plans;
    pool_ = std::make_unique<ModelPool>(std::move(models), options,
                                        ModelPoolHooks{[this](int model, const Progress& progress) { return load(model, progress); },
                                                       [this](LoadedModel& model) { leave(std::stoi(model.name)); }, [] {},
                                                       [](const char*, int, double, const std::string&) {}});
  }

  std::shared_ptr<LoadedModel> load(int model, const Progress& progress) {
    {
      const std::lock_guard lock(mutex_);
      ++loads_[model];
      held_ += plans_[static_cast<size_t>(model)];
      EXPECT_LE(held_, 100);
    }
    while (gate_) {
      if (!progress("reading weights", 0, 1)) {
        const std::lock_guard lock(mutex_);
        held_ -= plans_[static_cast<size_t>(model)];
        throw Stopped();
      }
      std::this_thread::yield();
    }
    if (fails_) {
      const std::lock_guard lock(mutex_);
      held_ -= plans_[static_cast<size_t>(model)];
      throw Error("is no model", "/secret/place", "mend it");
    }
    auto loaded = std::make_shared<LoadedModel>();
    loaded->name = std::to_string(model);
    return loaded;
  }
  void leave(int model) {
    const std::lock_guard lock(mutex_);
    held_ -= plans_[static_cast<size_t>(model)];
    left_.push_back(model);
  }
  int loads(int model) {
    const std::lock_guard lock(mutex_);
    return loads_[model];
  }
  std::vector<int> left() {
    const std::lock_guard lock(mutex_);
    return left_;
  }

  std::future<ModelUse> ask(const ModelWish& wish, ModelPool::WaitId* id = nullptr) {
    const auto promise = std::make_shared<std::promise<ModelUse>>();
    std::future<ModelUse> future = promise->get_future();
    if (ModelUse use = pool_->use_now(wish)) {
      promise->set_value(std::move(use));
      return future;
    }
    const ModelPool::WaitId wait = pool_->wait(wish, [promise](ModelUse use, std::exception_ptr error) {
      if (error) promise->set_exception(error);
      else promise->set_value(std::move(use));
    });
    if (id) *id = wait;
    return future;
  }
  ModelUse use(int model) { return ask(wish(model)).get(); }
  static ModelWish wish(int model) {
    ModelWish wish;
    wish.model = model;
    return wish;
  }
  std::string state(int model) const { return pool_->status(model).state; }
  void until(const std::function<bool()>& holds) {
    for (int i = 0; i < 20000 && !holds(); ++i) std::this_thread::sleep_for(1ms);
    ASSERT_TRUE(holds());
  }
  // What the API says of the failure.
  static ApiError refusal(const std::function<void()>& work) {
    try {
      work();
    } catch (const ApiError& error) {
      return error;
    }
    ADD_FAILURE() << "nothing was refused";
    return {0, "", ""};
  }

  std::mutex mutex_;
  std::map<int, int> loads_;
  std::vector<int> left_;
  int64_t held_ = 0;
  std::vector<int64_t> plans_;
  std::atomic<bool> gate_ = false, fails_ = false;
  std::unique_ptr<ModelPool> pool_;  // last: its thread uses the others
};

TEST_F(Pool, LoadsWhenSomebodyAsksAndNotAgain) {
  make({40, 40});
  EXPECT_EQ(state(0), "absent");
  EXPECT_EQ(use(0)->name, "0");
  EXPECT_EQ(use(0)->name, "0");
  EXPECT_EQ(loads(0), 1);
  EXPECT_EQ(loads(1), 0);
  EXPECT_EQ(pool_->planned_bytes(), 40);
}

TEST_F(Pool, TwoWhoWantTheSameModelLoadItOnce) {
  make({40});
  gate_ = true;
  auto first = ask(wish(0)), second = ask(wish(0));
  gate_ = false;
  EXPECT_EQ(first.get(), second.get());
  EXPECT_EQ(loads(0), 1);
}

TEST_F(Pool, PutsAwayWhatWasNotUsedForLongest) {
  make({30, 30, 30, 40});
  for (const int model : {0, 1, 2, 0}) use(model);
  use(3);
  EXPECT_EQ(left(), std::vector<int>{1});
  use(1);
  EXPECT_EQ(left(), (std::vector{1, 2}));
}

TEST_F(Pool, PutsAwayAsManyAsAreNeededAndNoneIfThatIsNotEnough) {
  make({40, 40, 90});
  ModelUse busy = use(0);
  use(1);
  auto big = ask(wish(2));
  until([&] { return pool_->status(2).waiting == 1; });
  EXPECT_EQ(use(1)->name, "1") << "it stays while the other is in the way anyhow";
  EXPECT_TRUE(left().empty());
  busy.reset();
  EXPECT_EQ(big.get()->name, "2");
  EXPECT_EQ(left().size(), 2u);
}

TEST_F(Pool, ABusyModelIsWaitedFor) {
  make({60, 60});
  ModelUse busy = use(0);
  auto other = ask(wish(1));
  EXPECT_EQ(other.wait_for(20ms), std::future_status::timeout);
  EXPECT_EQ(state(0), "loaded");
  EXPECT_EQ(loads(1), 0);
  busy.reset();
  EXPECT_EQ(other.get()->name, "1");
  EXPECT_EQ(state(0), "absent");
}

TEST_F(Pool, WhatFitsBesideIsNotHeldUp) {
  make({60, 60, 30}, {.patience_seconds = 1000});
  ModelUse busy = use(0);
  auto waits = ask(wish(1));
  EXPECT_EQ(use(2)->name, "2");
  busy.reset();
  EXPECT_EQ(waits.get()->name, "1");
}

TEST_F(Pool, WhoWaitedTooLongHasItsTurn) {
  make({60, 60, 30}, {.patience_seconds = 0});
  ModelUse busy = use(0);
  auto other = ask(wish(1));
  until([&] { return !pool_->use_now(wish(0)); });  // it begins nothing more
  auto again = ask(wish(0)), small = ask(wish(2));
  EXPECT_EQ(small.wait_for(20ms), std::future_status::timeout) << "nobody overtakes";
  busy.reset();
  EXPECT_EQ(other.get()->name, "1");
  EXPECT_EQ(again.get()->name, "0");
  EXPECT_EQ(small.get()->name, "2");
}

TEST_F(Pool, ATurnThatIsGivenUpHoldsNobodyUp) {
  make({60, 60}, {.patience_seconds = 0});
  ModelUse busy = use(0);
  ModelPool::WaitId wait = 0;
  auto other = ask(wish(1), &wait);
  until([&] { return !pool_->use_now(wish(0)); });
  auto held_up = ask(wish(0));
  pool_->cancel(wait);
  EXPECT_EQ(held_up.get()->name, "0");
  EXPECT_EQ(loads(1), 0);
}

TEST_F(Pool, ADeadlinePassesWhileItIsWaitedFor) {
  make({60, 60});
  ModelUse busy = use(0);
  ModelWish late = wish(1);
  late.deadline = ModelPool::Clock::now();
  auto other = ask(late);
  pool_->expire();
  const ApiError error = refusal([&] { other.get(); });
  EXPECT_EQ(error.status, 503);
  EXPECT_STREQ(error.what(),
               "The model 'model 1' was not loaded in the time the request may take: it takes 60 B of the 100 B for models, where "
               "model 0 (60 B, 1 under way) is loaded.");
  EXPECT_EQ(pool_->waiting(), 0);
}

TEST_F(Pool, ALoadThatNobodyWaitsForIsGivenUp) {
  make({60});
  gate_ = true;
  ModelPool::WaitId wait = 0;
  auto left = ask(wish(0), &wait);
  until([&] { return loads(0) == 1; });
  pool_->cancel(wait);
  until([&] { return state(0) == "absent"; });
  EXPECT_EQ(pool_->planned_bytes(), 0);
  EXPECT_THROW(left.get(), std::future_error) << "it hears nothing";
  gate_ = false;
  EXPECT_EQ(use(0)->name, "0");
}

TEST_F(Pool, AFailedLoadIsToldWithoutItsPlaceAndTriedAgain) {
  make({60, 60});
  fails_ = true;
  auto bad = ask(wish(0));
  const ApiError error = refusal([&] { bad.get(); });
  EXPECT_EQ(error.status, 500);
  EXPECT_STREQ(error.what(), "The model 'model 0' could not be loaded: is no model.");
  until([&] { return pool_->planned_bytes() == 0; });
  fails_ = false;
  EXPECT_EQ(use(1)->name, "1");
  EXPECT_EQ(use(0)->name, "0");
}

TEST_F(Pool, MoreThanMayWaitAreRefusedWithTheNumbers) {
  make({60, 60}, {.most_waiting = 3, .most_per_owner = 2});
  ModelUse busy = use(0);
  ModelWish of_key = wish(1);
  of_key.owner = 7;
  auto first = ask(of_key), second = ask(of_key);
  EXPECT_EQ(refusal([&] { ask(of_key); }).status, 429);
  auto third = ask(wish(1));
  const ApiError full = refusal([&] { ask(wish(1)); });
  EXPECT_EQ(full.status, 503);
  EXPECT_NE(std::string(full.what()).find("3 requests wait"), std::string::npos) << full.what();
  busy.reset();
  for (auto* future : {&first, &second, &third}) EXPECT_EQ(future->get()->name, "1");
}

TEST_F(Pool, AnIdleModelGoesWhenItsTimeIsOver) {
  make({30, 30}, {.keep_alive_seconds = 0});
  ModelUse busy = use(0);
  until([&] { return state(0) == "loaded"; });
  EXPECT_EQ(pool_->status(0).seconds_left, 0);
  ModelWish kept = wish(1);
  kept.keep_alive_seconds = -1;
  ask(kept).get();
  busy.reset();
  until([&] { return state(0) == "absent"; });
  EXPECT_EQ(state(1), "loaded");
  EXPECT_EQ(pool_->status(1).seconds_left, std::nullopt);
  pool_->let_go(1);
  until([&] { return pool_->planned_bytes() == 0; });
}

TEST_F(Pool, LettingGoWaitsForWhatIsUnderWay) {
  make({30});
  ModelUse busy = use(0);
  pool_->let_go(0);
  EXPECT_EQ(use(0), busy);
  EXPECT_TRUE(left().empty());
  busy.reset();
  until([&] { return state(0) == "absent"; });
}

TEST_F(Pool, LookingAtAModelDoesNotKeepIt) {
  make({30}, {.keep_alive_seconds = 0.05});
  EXPECT_EQ(pool_->look_at(0), nullptr);
  use(0);
  until([&] {
    const ModelUse seen = pool_->look_at(0);
    return !seen;
  });
}

TEST_F(Pool, AResidentModelStays) {
  make({30}, {.keep_alive_seconds = 0}, true);
  use(0);
  pool_->let_go(0);
  EXPECT_EQ(pool_->status(0).seconds_left, std::nullopt);
  use(0);
  EXPECT_EQ(loads(0), 1);
}

TEST_F(Pool, DrainingRefusesWhoWaitsAndEndsALoad) {
  make({30, 90});
  ModelUse busy = use(0);
  gate_ = true;
  auto big = ask(wish(1));
  pool_->let_go(0);
  busy.reset();
  until([&] { return loads(1) == 1; });
  pool_->drain();
  EXPECT_EQ(refusal([&] { big.get(); }).code, "shutting_down");
  until([&] { return state(1) == "absent"; });
  EXPECT_EQ(refusal([&] { ask(wish(1)); }).code, "shutting_down");
}

TEST_F(Pool, AUseMayOutliveIt) {
  make({30});
  const ModelUse use = this->use(0);
  pool_.reset();
}

TEST_F(Pool, IsNeverPlannedBeyondItsBudgetWhateverIsAsked) {
  make({20, 30, 40, 55, 70, 100}, {.patience_seconds = 0.001});
  std::vector<std::thread> clients;
  for (unsigned seed = 0; seed < 4; ++seed) {
    clients.emplace_back([this, seed] {
      std::mt19937 random(seed);
      for (int i = 0; i < 200; ++i) {
        const int model = static_cast<int>(random() % 6);
        const ModelUse use = this->use(model);
        EXPECT_EQ(use->name, std::to_string(model));
        EXPECT_LE(pool_->planned_bytes(), 100);
        if (random() % 8 == 0) pool_->let_go(static_cast<int>(random() % 6));
        if (random() % 4 == 0) std::this_thread::yield();
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_LE(pool_->most_planned_bytes(), 100);
  EXPECT_GT(left().size(), 10u);
}

}  // namespace
}  // namespace fovea::serve
