# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""What texts name, and what is refused."""

from pathlib import Path

import fsspec
import pytest
from directory_bucket import install

from ttc_jax.core.places import WorkdirError, in_bucket, path_of


def test_a_directory_is_an_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    assert path_of("runs/x") == tmp_path / "runs" / "x"
    assert path_of("~/x") == Path("/home/ada/x")
    assert not in_bucket(path_of("runs"))


def test_a_url_stays_one(tmp_path):
    install(tmp_path)
    path = path_of("gs://b/runs/x/")
    assert in_bucket(path) and str(path) == "gs://b/runs/x"
    assert str(path_of(path) / "a.json") == "gs://b/runs/x/a.json"
    assert str(path.parent) == "gs://b/runs" and path.name == "x"


@pytest.mark.parametrize("text", ["ftp://host/x", "gs://", "gs:///x", "memory://x"])
def test_other_urls_are_refused(text):
    with pytest.raises(WorkdirError, match=f"^{text} is neither .* gs://BUCKET/PATH"):
        path_of(text)


def test_a_missing_package_is_named(monkeypatch):
    def missing(protocol):
        raise ImportError("Please install s3fs to access S3")

    monkeypatch.setattr(fsspec, "get_filesystem_class", missing)
    with pytest.raises(WorkdirError, match=r"s3://b/x .*s3fs.*pip install 'ttc_jax\[bucket\]'"):
        path_of("s3://b/x")
