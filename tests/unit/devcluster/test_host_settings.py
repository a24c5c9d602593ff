"""How a build learns the host's way to the registries."""

from devcluster.images.host_settings import CACHE, CERTIFICATES, exports


def test_certificates_are_always_those_of_the_host() -> None:
    text = exports({}, {}, cached=False)
    assert f"export SSL_CERT_FILE={CERTIFICATES}\n" in text
    assert "UV_CACHE_DIR" not in text


def test_mirror_of_pip_serves_uv_as_well() -> None:
    text = exports({}, {"index-url": "https://mirror.example/simple"}, cached=False)
    assert "export PIP_INDEX_URL=https://mirror.example/simple\n" in text
    assert "export UV_DEFAULT_INDEX=https://mirror.example/simple\n" in text


def test_environment_comes_before_pips_files() -> None:
    text = exports({"PIP_INDEX_URL": "https://b.example"}, {"index-url": "https://a.example"}, cached=True)
    assert "https://a.example" not in text
    assert f"export UV_CACHE_DIR={CACHE}\n" in text


def test_values_are_quoted_and_unrelated_variables_stay_out() -> None:
    text = exports({"PIP_EXTRA_INDEX_URL": "https://a b", "AWS_SECRET_ACCESS_KEY": "x"}, {}, cached=False)
    assert "export PIP_EXTRA_INDEX_URL='https://a b'\n" in text
    assert "AWS_SECRET" not in text


def test_a_host_without_a_bundle_leaves_the_images_own_certificates() -> None:
    assert CERTIFICATES not in exports({}, {}, cached=False, certified=False)
