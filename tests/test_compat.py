"""MXNet runs on this Python and this NumPy, and NumPy is restored after its import."""

import subprocess
import sys

import numpy as np
import pytest


def run(code):
    """Run `code` in a fresh interpreter with an unpatched NumPy; return its output."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_gradient():
    from gluon_lstm.compat import mx

    x = mx.nd.array([[1.0, 2.0], [3.0, 4.0]])
    x.attach_grad()
    with mx.autograd.record():
        y = (x * x).sum()
    y.backward()
    np.testing.assert_array_equal(x.grad.asnumpy(), 2 * x.asnumpy())


def test_gluon_lstm_trains_a_step():
    from gluon_lstm.compat import mx

    lstm = mx.gluon.rnn.LSTM(hidden_size=8, num_layers=2)
    lstm.initialize()
    trainer = mx.gluon.Trainer(lstm.collect_params(), "adam")
    inputs = mx.nd.random.normal(shape=(5, 3, 4))  # (T, N, D)
    with mx.autograd.record():
        output, (h, c) = lstm(inputs, lstm.begin_state(3))
        loss = (output**2).sum()
    loss.backward()
    trainer.step(3)
    mx.nd.waitall()
    assert output.shape == (5, 3, 8)
    assert h.shape == c.shape == (2, 3, 8)


def test_numpy_is_restored_after_the_import():
    added = run(
        "import sys, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "import numpy as np, numpy.fft, numpy.ma, numpy.random, numpy.testing\n"  # submodules that MXNet imports
        "before = dict(vars(np))\n"
        "from gluon_lstm.compat import mx\n"
        "after = vars(np)\n"
        "assert all(after[name] is value for name, value in before.items())\n"
        "print(*sorted(set(after) - set(before)))\n"
    ).split()
    assert set(added) <= {"bool", "Inf"}


def test_names_read_at_run_time_stay():
    from gluon_lstm.compat import mx

    array = mx.np.array([1.0, 2.0, 3.0])
    assert array[array > 1].tolist() == [2.0, 3.0]  # reads numpy.bool
    assert np.Inf == float("inf") and np.bool in (bool, np.bool_)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of NumPy 1.26, for the names it still has
def test_patched_names_work_inside_mxnet_and_are_removed():
    from gluon_lstm.compat import mx

    assert np.isinf(mx.np.PINF) and np.isnan(mx.np.NaN)
    assert mx.np.alltrue(mx.np.array([1, 1]))
    assert mx.np.trapz(mx.np.array([1.0, 2.0, 3.0])) == 4.0
    if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
        assert not hasattr(np, "PZERO") and not hasattr(np, "npv")
        with pytest.raises(NotImplementedError, match=r"numpy\.npv no longer exists"):
            mx.np.npv(0.1, [1, 2])


def test_operators_are_compiled_when_first_called():
    """The first call and later ones agree, with positional arguments, keywords and defaults, in both interfaces."""
    output = run(
        "import inspect\n"
        "from gluon_lstm.compat import mx\n"
        "x = mx.nd.array([[1.0, 2.0], [3.0, 4.0]])\n"
        "for function in (mx.nd.sum, mx.sym.sum):\n"
        "    assert list(inspect.signature(function).parameters)[0] == 'args'\n"
        "for _ in range(2):\n"
        "    print(mx.nd.sum(x).asscalar(), mx.nd.sum(x, 0).asnumpy(), mx.nd.sum(data=x, axis=1).asnumpy())\n"
        "    total = mx.sym.sum(mx.sym.var('x'), axis=0)\n"
        "    print(total.eval(x=x)[0].asnumpy(), 'Computes the sum' in mx.nd.sum.__doc__)\n"
        "for function in (mx.nd.sum, mx.sym.sum):\n"
        "    assert list(inspect.signature(function).parameters)[:2] == ['data', 'axis']\n"
    ).splitlines()
    assert output == ["10.0 [4. 6.] [3. 7.]", "[4. 6.] True"] * 2


def test_import_raises_no_warnings():
    code = "import numpy\nfrom gluon_lstm.compat import mx"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_import_after_a_failed_one():
    run(
        "try:\n"
        "    import mxnet\n"
        "except Exception:\n"
        "    pass\n"
        "from gluon_lstm.compat import mx\n"
        "mx.nd.ones(2).asnumpy()\n"
    )


@pytest.mark.parametrize(
    ("missing", "advice"),
    [("mxnet", "WSL2, Colab or a Linux container"), ("requests", "pip install requests")],
)
def test_missing_package_error_says_how_to_fix_it(missing, advice):
    message = run(
        "import sys\n"
        f"sys.modules[{missing!r}] = None\n"  # makes its import fail as if it were not installed
        "try:\n"
        "    from gluon_lstm.compat import mx\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    assert advice in message
    assert message.count("\n") == 1


@pytest.mark.parametrize("before", ["", "import scipy.sparse, sklearn.base\n"])
def test_scipy_and_sklearn_stay_importable(before):
    """MXNet would import SciPy and warn with each new array; other code can import both, before and after."""
    pytest.importorskip("sklearn")  # which needs SciPy
    output = run(
        "import sys, warnings\n"
        "warnings.simplefilter('error', DeprecationWarning)\n"
        f"{before}"
        "from gluon_lstm.compat import mx\n"
        "print('scipy.sparse' in sys.modules, 'sklearn' in sys.modules)\n"
        "mx.nd.array([1.0])\n"
        "import scipy.sparse\n"
        "print(scipy.sparse.csr_matrix((2, 3)).shape)\n"
        "import sklearn.base\n"
        "print(sklearn.base.BaseEstimator().get_params())\n"
    ).splitlines()
    assert output == [f"{bool(before)} {bool(before)}", "(2, 3)", "{}"]
