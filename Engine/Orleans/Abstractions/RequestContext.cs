using MultiCluster.Engine.Actors;

namespace Orleans.Runtime;

/// <summary>Values that travel with calls: what a caller sets, everybody down the chain sees, and nobody up the chain.</summary>
public static class RequestContext
{
    internal const string CallChainHeader = "#CCR";

    // The dictionary is never changed once it is here: copies of the execution context share it.
    private static readonly AsyncLocal<Dictionary<string, object>?> Values = new();

    /// <summary>The values.</summary>
    public static IEnumerable<KeyValuePair<string, object>> Entries => Values.Value ?? [];

    /// <summary>Their names.</summary>
    public static IEnumerable<string> Keys => Values.Value?.Keys ?? Enumerable.Empty<string>();

    /// <summary>The call chain that may re-enter its own grains; empty when none may.</summary>
    public static Guid ReentrancyId
    {
        get => Get(CallChainHeader) is Guid id ? id : Guid.Empty;
        set
        {
            if (value == Guid.Empty)
            {
                Remove(CallChainHeader);
            }
            else
            {
                Set(CallChainHeader, value);
            }
        }
    }

    internal static Dictionary<string, object>? Snapshot
    {
        get => Values.Value;
        set
        {
            if (!ReferenceEquals(Values.Value, value))
            {
                Values.Value = value;
            }
        }
    }

    /// <summary>The value of that name, or null.</summary>
    public static object? Get(string key) => Values.Value?.GetValueOrDefault(key);

    /// <summary>Sets a value for every later call of this flow.</summary>
    public static void Set(string key, object value) =>
        Values.Value = Values.Value is { } present ? new Dictionary<string, object>(present) { [key] = value } : new() { [key] = value };

    /// <summary>Takes a value away; false when there was none.</summary>
    public static bool Remove(string key)
    {
        if (Values.Value is not { } present || !present.ContainsKey(key))
        {
            return false;
        }

        var rest = new Dictionary<string, object>(present);
        rest.Remove(key);
        Values.Value = rest.Count == 0 ? null : rest;
        return true;
    }

    /// <summary>Takes all values away.</summary>
    public static void Clear() => Snapshot = null;

    /// <summary>Until disposed, calls that come back to this grain through others do not wait for the call that made them.</summary>
    public static ReentrancySection AllowCallChainReentrancy()
    {
        Guid present = ReentrancyId;
        return new ReentrancySection(present, present == Guid.Empty ? Guid.NewGuid() : present);
    }

    /// <summary>Until disposed, calls that come back wait again.</summary>
    public static ReentrancySection SuppressCallChainReentrancy() => new(ReentrancyId, Guid.Empty);

    /// <summary>The stretch of code for which a setting holds.</summary>
    public readonly struct ReentrancySection : IDisposable
    {
        private readonly Guid _before;
        private readonly Guid _within;

        /// <summary>Enters the section.</summary>
        public ReentrancySection(Guid originalReentrancyId, Guid newReentrancyId)
        {
            _before = originalReentrancyId;
            _within = newReentrancyId;
            if (_within != _before)
            {
                ReentrancyId = _within;
            }

            if (_within != Guid.Empty)
            {
                (RuntimeContext.Current as GrainActivation)?.EnterCallChain(_within);
            }
        }

        /// <summary>Leaves the section.</summary>
        public void Dispose()
        {
            if (_within != Guid.Empty)
            {
                (RuntimeContext.Current as GrainActivation)?.ExitCallChain(_within);
            }

            if (_within != _before)
            {
                ReentrancyId = _before;
            }
        }
    }
}
