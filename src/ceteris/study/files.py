"""Study files: TOML as a user writes it -> Study. Every mistake is found before anything is trained."""

import copy
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import TypeAdapter, ValidationError

from ceteris.data import find_named
from ceteris.digests import plain
from ceteris.errors import ConfigError, did_you_mean
from ceteris.fields import describe_value, number_at
from ceteris.files import open_regular
from ceteris.findings import Form
from ceteris.recipe import Recipe
from ceteris.study.arms import arm
from ceteris.study.messages import explain_invalid
from ceteris.study.own_words import add_markdown, words_apart, words_within
from ceteris.study.strategies import strategy_of
from ceteris.study.study import Factor, Level, Study, factors_of, keeps_levels

MOST_BYTES = 1 << 20  # of a study file
_FORM_TITLES: dict[Form, str] = {"quick": "quick look", "full": "in full"}
_STUDY = TypeAdapter(Study)
_MOST_DEPTH = 16
_MOST_PARTS = 40
_SPACES_AND_TEXTS = re.compile(r"""[ \t]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|#.*""")
_KEY_ENDS = re.compile(r"[\n=,{}\[\]]")


def shipped_studies() -> dict[str, str]:
    """Return the shipped studies as name -> text of the file."""
    folder = resources.files("ceteris.studies")
    files = [file for file in folder.iterdir() if file.name.endswith(".toml")]
    return {file.name.removesuffix(".toml"): file.read_text(encoding="utf-8") for file in sorted(files, key=str)}


def shipped_study(name: str) -> str:
    """Return the text of a shipped study.

    Raises:
        ConfigError: when there is none of that name.
    """
    shipped = shipped_studies()
    if name not in shipped:
        raise ConfigError(
            f'study: there is no shipped study "{name}".{did_you_mean(name, shipped)} Shipped: {", ".join(shipped)}.'
        )
    return shipped[name]


def study_text(name_or_path: str) -> str:
    """Return the text of a shipped study by name, or of a study file by path.

    Raises:
        ConfigError: when there is neither.
    """
    shipped = shipped_studies()
    if name_or_path in shipped:
        return shipped[name_or_path]
    if Path(name_or_path).is_dir():
        raise ConfigError(
            f'study: "{name_or_path}" is a folder; name a study file (.toml) or a shipped study: {", ".join(shipped)}. '
            f"Pictures in a folder are the data of a study, as in: ceteris run digits --set data={name_or_path}"
        )
    try:
        with open_regular(name_or_path, MOST_BYTES) as file:
            return file.read().decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f'study: there is no file "{name_or_path}" and no shipped study of that name.'
            f"{did_you_mean(name_or_path, shipped)} Shipped: {', '.join(shipped)}. "
            "`ceteris init` writes a commented copy of one to edit."
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f'study: "{name_or_path}" cannot be read as a text file ({reason}).') from None


def read_study(name_or_path: str, settings: Sequence[str] = (), *, form: Form = "") -> Study:
    """Read a study, take its quick or full form, apply ``--set`` overrides and check all of it.

    Args:
        name_or_path: name of a shipped study, or path of a TOML file.
        settings: overrides as "cnn.optimizer.lr=0.01"; a model's name or a key of the study comes first.
        form: "quick" or "full" for the study with the changes of its table of that name.

    Raises:
        ConfigError: when the file, a key or a value is wrong; the message names it and what is allowed.
    """
    return parse_study(study_text(name_or_path), settings, origin=name_or_path, form=form)


def parse_study(text: str, settings: Sequence[str] = (), *, origin: str = "study", form: Form = "") -> Study:
    """Parse the text of a study file; see :func:`read_study`. Where ``origin`` is a file, its data and words lie beside it."""
    studies = parse_studies(text, settings, origin=origin, form=form)
    if len(studies) > 1:
        raise ConfigError(
            f"{origin}: data: the study names {len(studies)} data sets ({', '.join(studies)}), and one is needed here. Choose "
            f"it with --set data={next(iter(studies))}; `ceteris run`, `ceteris plan` and ceteris.run_each take all."
        )
    return next(iter(studies.values()))


def parse_studies(
    text: str, settings: Sequence[str] = (), *, origin: str = "study", form: Form = ""
) -> dict[str, Study]:
    """Parse a study file that may name several data sets: one study for each by the set's name, one alone by ''.

    A table ``[on.NAME]`` says what is different on the set of that name. Raises as :func:`read_study`.
    """
    try:
        tree = toml_tree(text)
    except ValueError as error:
        hint = " If that is a path of Windows, write it in single quotes: 'C:\\pictures'." if "\\" in text else ""
        raise ConfigError(f"{origin}: this is not valid TOML: {error}.{hint}") from None
    tree = _in_form(tree, form, origin)
    if origin.endswith(".toml"):
        add_markdown(tree, Path(origin).with_suffix(".md"))
    given = tree.get("data")
    for setting in settings:
        _override(tree, setting)
    sets = _by_set(tree, origin)
    for name, of_set in sets.items():
        data = of_set.get("data")
        if isinstance(data, str) and (data == given or (isinstance(given, list) and data in given)):
            of_set["data"] = _beside(data, Path(origin))
        for setting in settings if name else ():  # an option of the command line counts more than [on.NAME]
            if setting.partition("=")[0].strip() != "data":
                _override(of_set, setting)
    return {name: study_from_tree(of_set, origin=origin) for name, of_set in sets.items()}


def _by_set(tree: dict[str, Any], origin: str) -> dict[str, dict[str, Any]]:
    """Return the tree of a study for each of its data sets, with the changes of [on.NAME], by the set's name."""
    changes, data = tree.pop("on", {}), tree.get("data")
    data = data[0] if isinstance(data, list) and len(data) == 1 else data
    names = {re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(str(part)).name).strip("-."): part for part in _listed(data)}
    if not isinstance(changes, dict) or (unknown := [name for name in changes if name not in names]):
        known = ", ".join(names)
        wrong = f'"{unknown[0]}"{did_you_mean(unknown[0], names)}' if isinstance(changes, dict) else repr(changes)
        raise ConfigError(
            f"{origin}: on: a table [on.NAME] for a data set of the study is needed ({known}); received {wrong}."
        )
    if not isinstance(data, list):
        (name,) = names
        return {"": _changed(tree | {"data": data}, changes.get(name, {})) if "data" in tree else tree}
    if len(names) < len(data) or not all(isinstance(part, str) for part in data):
        raise ConfigError(
            f"{origin}: data: a list of names or paths with different names is needed; received {data!r}."
        )
    found = {}
    for name, part in names.items():
        of_set = _changed(copy.deepcopy(tree), changes.get(name, {}))
        titled = {"title": f"{tree['title']} · {name}"} if tree.get("title") else {}
        found[name] = of_set | {"data": part, "name": f"{tree.get('name', '')}-{name}"} | titled
    return found


def _listed(data: Any) -> list[Any]:
    return data if isinstance(data, list) else [data]


def toml_tree(text: str) -> dict[str, Any]:
    """Return the plain values of a TOML text.

    Raises:
        ValueError: it is no TOML, or nested so deep that reading it would take for ever or more than the stack.
    """
    parts = max(key.count(".") + 1 for key in _KEY_ENDS.split(_SPACES_AND_TEXTS.sub("", text)))
    if parts > _MOST_PARTS:  # the time that tomllib takes grows with their square
        raise ValueError(f"a key of {parts} parts; at most {_MOST_PARTS} are read")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _check_values(place: str, value: Any, depth: int = 0) -> None:
    """Refuse what no study holds and what the readers after this one could not tell of."""
    if depth > _MOST_DEPTH:
        raise ConfigError(f"{place.partition('.')[0]}: tables and lists are nested at most {_MOST_DEPTH} deep.")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise ConfigError(f"{place}: whole numbers of at most 64 bits are allowed, this one has {value.bit_length()}.")
    for key, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        _check_values(f"{place}.{key}" if place else str(key), part, depth + 1)


def _beside(data: str, file: Path) -> str:
    """Return the data of a study as seen from here; a path is looked for beside the study file first, then here."""
    if find_named(data) or data.startswith("hf:") or file.parent.resolve() == Path.cwd():
        return data
    try:
        beside = file.parent / Path(data).expanduser()
        return data if Path(data).exists() and not beside.exists() else str(beside)
    except (OSError, RuntimeError, ValueError):  # no path at all, as is told when it is read
        return data


def study_from_tree(tree: Mapping[str, Any], *, origin: str = "study") -> Study:
    """Make a study from the plain values of a study file and check every arm of it."""
    normal: Mapping[str, Any] = tree
    try:
        _check_values("", tree)
        normal = _normal_form(tree)
        study = _STUDY.validate_json(json.dumps(normal, default=str))
        _check(study)
    except ValidationError as error:
        raise ConfigError(f"{origin}: {explain_invalid(error, normal)}") from None
    except ConfigError as error:
        raise ConfigError(f"{origin}: {error}") from None
    return study


def study_toml(study: Study) -> str:
    """Return the text of a study file with every value written out; :func:`parse_study` makes an equal Study of it.

    Raises:
        ConfigError: when a level sets a field to None, for which TOML has no word.
    """
    tree = words_within(plain(study))
    tree["models"] = {model.pop("name"): words_within({**model.pop("recipe"), **model}) for model in tree["models"]}
    tree["factors"] = [words_within(factor) for factor in tree["factors"]]
    for factor in tree["factors"]:
        for level in factor["levels"]:
            changes = level.pop("changes")
            for field, value in changes.items():
                if value is None:
                    raise ConfigError(
                        f'factors[{factor["name"]}].levels: level "{level["label"]}" sets {field} to None, which a study file '
                        "cannot say. Give the value itself."
                    )
            value_alone = len(factor["fields"]) == len(changes) == 1
            level.update({"value": next(iter(changes.values()))} if value_alone else changes)
    return tomli_w.dumps(_without_none(tree))


def _without_none(tree: Any) -> Any:
    """What is None is left out, as in a file that never named it."""
    if isinstance(tree, dict):
        return {key: _without_none(part) for key, part in tree.items() if part is not None}
    return [_without_none(part) for part in tree] if isinstance(tree, list) else tree


# ---------------------------------------------------------------------------------------------------------------------
# From the shorthands of a file to the fields of a Study


def _in_form(tree: dict[str, Any], form: Form, origin: str) -> dict[str, Any]:
    """Return the tree of a study with the changes of its table [quick] or [full], and named and titled after it."""
    changes = {name: tree.pop(name) for name in _FORM_TITLES if name in tree}
    if wrong := [name for name, table in changes.items() if not isinstance(table, dict)]:
        raise ConfigError(
            f"{origin}: {wrong[0]}: a table is needed, such as [{wrong[0]}.exploration] with images = 1000."
        )
    if not form:
        return tree
    if form not in changes:
        raise ConfigError(
            f"{origin}: --{form} needs a table [{form}] in the study file that says what is different then, such as "
            f"[{form}.exploration] with images = 1000."
        )
    tree = _changed(tree, changes[form])
    named = {"name": f"{tree.get('name', '')}-{form}", "form": form}
    return tree | named | ({"title": f"{tree['title']} ({_FORM_TITLES[form]})"} if tree.get("title") else {})


def _changed(before: Any, changes: Any) -> Any:
    """Merge tables key by key, and lists of named tables by name; false leaves a table out. All else is replaced.

    A table that names its kind is a choice of its own and replaces the other one whole.
    """
    if isinstance(before, list) and isinstance(changes, dict):
        named = {part["name"]: part for part in before if isinstance(part, dict) and "name" in part}
        merged = _changed(named, {name: part and {"name": name} | part for name, part in changes.items()})
        return list(merged.values())
    if not isinstance(before, dict) or not isinstance(changes, dict) or "kind" in changes:
        return changes
    kept = {key: part for key, part in before.items() if not (changes.get(key) is False and isinstance(part, dict))}
    new = {key: part for key, part in changes.items() if key in kept or key not in before}
    return kept | {key: _changed(kept.get(key), part) for key, part in new.items()}


def _override(tree: dict[str, Any], setting: str) -> None:
    """Set one key, as in cnn.optimizer.lr=0.01; a value that is no TOML is a text."""
    path, equals, text = setting.partition("=")
    if not equals or not path.strip():
        raise ConfigError(f'--set: "path=value" is needed, as in cnn.optimizer.lr=0.01; received "{setting}".')
    parts = path.strip().split(".")
    if parts[0] in tree.get("models", {}):
        parts = ["models", *parts]
    branch: dict[str, Any] = tree
    for part in parts[:-1]:
        inner = branch.setdefault(part, {})
        if isinstance(inner, str):
            inner = branch[part] = {"kind": inner}
        if not isinstance(inner, dict):
            raise ConfigError(f'--set {setting}: "{part}" is {inner!r}, not a table with keys of its own.')
        branch = inner
    try:
        branch[parts[-1]] = toml_tree(f"value = {text.strip()}")["value"]
    except ValueError:
        branch[parts[-1]] = text.strip()


def _normal_form(tree: Mapping[str, Any]) -> dict[str, Any]:
    models, factors = tree.get("models", {}), tree.get("factors", [])
    if not isinstance(models, dict) or not models:
        raise ConfigError("models: at least one is needed, as a table [models.cnn] with its recipe.")
    if not isinstance(factors, list):
        raise ConfigError("factors: write each one as a table [[factors]] with name, field and levels.")
    normal_models = []
    for name, part in models.items():
        if not isinstance(part, dict):
            raise ConfigError(f"models.{name}: a table with the model's recipe is needed; received {part!r}.")
        recipe = words_apart(part)
        normal = {"name": name, "title": recipe.pop("title", name), "words": recipe.pop("words"), "recipe": recipe}
        if "embedding" in recipe:
            normal["embedding"] = recipe.pop("embedding")
        normal_models.append(normal)
    return {**words_apart(tree), "models": normal_models, "factors": [_normal_factor(factor) for factor in factors]}


def _normal_factor(factor: Any) -> dict[str, Any]:
    """`tune` is true (the learning rate), false (nothing), or a list of fields or of tables { field, trials, step }."""
    if not isinstance(factor, dict):
        raise ConfigError(f"factors: a table with name, field and levels is needed; received {factor!r}.")
    name, levels, tune = factor.get("name", "?"), factor.get("levels"), factor.get("tune", [])
    if ("field" in factor) == ("fields" in factor):
        raise ConfigError(f'factors[{name}]: give either "field" (one) or "fields" (a list), not both or neither.')
    fields = [factor["field"]] if "field" in factor else factor["fields"]
    if not isinstance(fields, list) or not all(isinstance(field, str) for field in fields):
        raise ConfigError(f'factors[{name}]: fields are texts such as "optimizer.lr"; received {fields!r}.')
    if not isinstance(levels, list) or not levels:
        raise ConfigError(f"factors[{name}].levels: a list of at least one value is needed; received {levels!r}.")
    if not isinstance(tune, bool | list):
        raise ConfigError(
            f'factors[{name}].tune: allowed are true, false, or a list such as ["optimizer.lr"] or '
            f'[{{ field = "optimizer.lr", trials = 5, step = 3.0 }}]; received {tune!r}.'
        )
    normal = {key: value for key, value in words_apart(factor).items() if key != "field"}
    normal |= {"fields": fields, "levels": [_normal_level(level, fields, name) for level in levels]}
    if "tune" in factor:
        tuned = ([{}] if tune else []) if isinstance(tune, bool) else tune
        normal["tune"] = [{"field": part} if isinstance(part, str) else part for part in tuned]
    return normal


def _normal_level(level: Any, fields: list[str], factor: str) -> dict[str, Any]:
    """A level is the field's value itself; { label, value }; or, for several fields, { label, field = value, ... }."""
    if len(fields) == 1:
        labelled = isinstance(level, dict) and "value" in level and set(level) <= {"label", "value"}
        value = level["value"] if labelled else level
        label = level.get("label") if labelled else None
        return {"label": label or describe_value(value), "changes": {fields[0]: value}}
    if not isinstance(level, dict):
        raise ConfigError(f"factors[{factor}].levels: with several fields a level is a table; received {level!r}.")
    changes = {key: value for key, value in level.items() if key != "label"}
    unknown = sorted(set(changes) - set(fields))
    if unknown or not changes:
        raise ConfigError(
            f'factors[{factor}].levels: a level may set {", ".join(map(repr, fields))} (quoted keys) and "label"; '
            f"received {', '.join(map(repr, unknown)) or 'nothing'}."
        )
    return {"label": level.get("label") or ", ".join(map(describe_value, changes.values())), "changes": changes}


# ---------------------------------------------------------------------------------------------------------------------
# What only the whole study can tell


def _check(study: Study) -> None:
    models = [model.name for model in study.models]
    for factor in study.factors:
        labels = [level.label for level in factor.levels]
        if twice := _repeated(labels):
            raise ConfigError(f'factors[{factor.name}].levels: two levels have the label "{twice}".')
        for model in factor.models:
            if model not in models:
                raise ConfigError(
                    f'factors[{factor.name}].models: there is no model "{model}".{did_you_mean(model, models)} '
                    f"Allowed: {', '.join(models)}."
                )
    if twice := _repeated([factor.name for factor in study.factors]):
        raise ConfigError(f'two factors have the name "{twice}"; give each its own.')
    _check_arms(study)
    strategy_of(study).check(study)


def _check_arms(study: Study) -> None:
    """Make every arm around the baselines; each nuisance parameter must be a number above 0 in one of its factor's.

    Where levels are kept on the way, it is enough that a level fits together with one of an earlier factor: three kernels,
    once three filters may have been chosen.
    """
    recipes: dict[str, list[Recipe]] = {factor.name: [] for factor in study.factors}
    for model in study.models:
        reached = [
            model.recipe
        ]  # the baseline, and what one earlier level makes of it where levels are kept on the way
        for factor in factors_of(study, model.name):
            fitting: list[Recipe] = []
            for level in factor.levels:
                arms = (_arm_or_error(recipe, factor, level) for recipe in reached)
                first = next(arms)
                made = next((one for one in (first, *arms) if isinstance(one, Recipe)), None)
                if made is None:
                    raise ConfigError(f"model {model.name}: {first}") from None
                fitting.append(made)
            recipes[factor.name] += fitting
            reached += fitting if keeps_levels(study) else []
    for factor in study.factors:
        for nuisance in factor.tune or ():
            if not any((number_at(recipe, nuisance.field) or 0) > 0 for recipe in recipes[factor.name]):
                raise ConfigError(
                    f'factors[{factor.name}].tune: no arm has a number above 0 in "{nuisance.field}". Name a field '
                    'such as "optimizer.lr"; its value in each arm is where the search starts.'
                )


def _arm_or_error(recipe: Recipe, factor: Factor, level: Level) -> Recipe | ConfigError:
    try:
        return arm(recipe, factor, level)
    except ConfigError as error:
        return error


def _repeated(names: Sequence[str]) -> str:
    return next((name for name in names if names.count(name) > 1), "")
