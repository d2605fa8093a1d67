#!/usr/bin/env python3
"""Recipes, models and command lines that are not what they must be: exit 2, one line with the file
and the place, nothing written."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
import bench  # noqa: E402


class BadRecipe(bench.Bench):
    def refuses_recipe(self, old, new, *texts):
        self.replace("recipe.yaml", old, new)
        return self.refuses(2, texts, "train", "recipe.yaml", "--run", "out")

    def refuses_model(self, old, new, *texts):
        self.replace("model.yaml", old, new)
        return self.refuses(2, texts, "train", "recipe.yaml", "--run", "out")

    def test_the_recipe_itself_works(self):
        self.works("train", "recipe.yaml", "--run", "out")

    def test_unknown_key(self):
        self.refuses_recipe("  epochs: 2\n", "  epochs: 2\n  colour: red\n", "recipe.yaml:9:3",
                            "colour")

    def test_mistyped_key_names_the_nearest(self):
        self.refuses_recipe("epochs: 2", "epocs: 2", "recipe.yaml:8:3", "epocs", "epochs")

    def test_mistyped_group_names_the_nearest(self):
        self.refuses_recipe("checkpoint:", "checkpiont:", "recipe.yaml:14:1", "checkpoint")

    def test_key_given_twice(self):
        self.refuses_recipe("  epochs: 2\n", "  epochs: 2\n  epochs: 3\n", "recipe.yaml:9:3",
                            "epochs")

    def test_value_out_of_range(self):
        self.refuses_recipe("batch: 32", "batch: 0", "recipe.yaml:9:3", "batch", "0")

    def test_value_of_another_type(self):
        self.refuses_recipe("batch: 32", "batch: many", "recipe.yaml:9:3", "batch", "many")

    def test_value_beyond_all_integers(self):
        self.refuses_recipe("batch: 32", "batch: 99999999999999999999", "recipe.yaml:9:3", "batch")

    def test_batch_that_is_no_power_of_two_leaves(self):
        self.refuses_recipe("batch: 32", "batch: 24", "recipe.yaml:9:3", "batch")

    def test_missing_required_key(self):
        self.refuses_recipe("  batch: 32\n", "", "recipe.yaml:", "batch")

    def test_unknown_optimizer_names_the_nearest(self):
        self.refuses_recipe("{sgd: {momentum: 0.9}}", "{sdg: {momentum: 0.9}}", "recipe.yaml:12:",
                            "sdg", "sgd")

    def test_unknown_transform(self):
        self.refuses_recipe("center_crop:", "centre_crop:", "recipe.yaml:6:", "centre_crop",
                            "center_crop")

    def test_no_yaml(self):
        self.refuses_recipe("data:", "data: [", "recipe.yaml:")

    def test_binary_instead_of_yaml(self):
        self.write("recipe.yaml", bytes(range(256)) * 8)
        self.refuses(2, ["recipe.yaml"], "train", "recipe.yaml", "--run", "out")

    def test_empty_recipe(self):
        self.write("recipe.yaml", "")
        self.refuses(2, ["recipe.yaml"], "train", "recipe.yaml", "--run", "out")

    def test_deep_nesting(self):
        self.write("recipe.yaml", "[" * 100000)
        self.refuses(2, ["recipe.yaml"], "train", "recipe.yaml", "--run", "out")

    def test_missing_recipe(self):
        self.refuses((1, 2), ["nowhere.yaml"], "train", "nowhere.yaml", "--run", "out")

    def test_missing_model(self):
        self.refuses_recipe("model.yaml", "models/none.yaml", "recipe.yaml:1:1", "models/none.yaml")

    def test_kernel_that_does_not_fit(self):
        self.refuses_model("kernel: 3", "kernel: 99", "model.yaml:3:", "conv", "99")

    def test_groups_that_do_not_divide(self):
        self.refuses_model("kernel: 3", "kernel: 3, groups: 5", "model.yaml:3:", "conv", "5")

    def test_unknown_layer_names_the_nearest(self):
        self.refuses_model("relu:", "rleu:", "model.yaml:4:", "rleu", "relu")

    def test_unknown_option_of_a_layer(self):
        self.refuses_model("kernel: 3", "kernal: 3", "model.yaml:3:", "kernal", "kernel")

    def test_residual_whose_sides_differ(self):
        self.refuses_model("  - relu:\n",
                           "  - residual: {body: [{conv: {out: 9, kernel: 1}}]}\n",
                           "model.yaml:4:", "residual")

    def test_model_for_other_pictures(self):
        self.refuses_model("channels: 3, height: 12", "channels: 1, height: 12", "model.yaml:1:",
                           "12")

    def test_fewer_outputs_than_classes(self):
        self.refuses_model("out: 6", "out: 5", "5", "6")

    def test_override_of_an_unknown_key(self):
        self.refuses(2, ["command line", "batsch", "batch"], "train", "recipe.yaml", "--run", "out",
                     "train.batsch=3")

    def test_override_out_of_range(self):
        self.refuses(2, ["command line", "train.batch=-3"[6:11]], "train", "recipe.yaml", "--run",
                     "out", "train.batch=-3")

    def test_override_without_a_value(self):
        self.refuses(2, ["train.batch"], "train", "recipe.yaml", "--run", "out", "train.batch")

    def test_unknown_command_names_the_nearest(self):
        self.refuses(2, ["trian", "train"], "trian", "recipe.yaml")

    def test_unknown_flag(self):
        self.refuses(2, ["--runn", "--run"], "train", "recipe.yaml", "--runn", "out")

    def test_missing_argument(self):
        self.refuses(2, ["RECIPE"], "train")

    def test_unknown_format_of_import(self):
        self.refuses(2, ["cifar11", "cifar10"], "import", "cifar11", "pictures", "data/other")


if __name__ == "__main__":
    bench.main()
