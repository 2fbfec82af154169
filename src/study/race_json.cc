#include "study/race_json.h"

namespace wattle::inline study {

nlohmann::ordered_json race_json(const Race& race) {
  return {{"rounds", race.rounds},   {"stopped", race.stopped},         {"ended", race.ended},
          {"decided", race.decided}, {"out_of_time", race.out_of_time}, {"rules", race.rules}};
}

Race race_from_json(const nlohmann::json& json) {
  Race race;
  race.rounds = json.at("rounds");
  race.stopped = json.at("stopped").get<std::map<std::string, std::string>>();
  race.ended = json.at("ended");
  race.decided = json.at("decided");
  race.out_of_time = json.at("out_of_time");
  race.rules = json.at("rules");
  return race;
}

}  // namespace wattle::inline study
