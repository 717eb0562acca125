using Orleans.Core;
using Orleans.Runtime;

namespace Orleans.Core
{
    /// <summary>State that lives longer than the activation.</summary>
    public interface IStorage
    {
        /// <summary>The version of the stored record; null when there is none.</summary>
        string? Etag { get; }

        /// <summary>Whether there is a stored record.</summary>
        bool RecordExists { get; }

        /// <summary>Deletes the record and resets the state.</summary>
        Task ClearStateAsync();

        /// <summary>Deletes the record and resets the state.</summary>
        Task ClearStateAsync(CancellationToken cancellationToken);

        /// <summary>Stores the state.</summary>
        /// <exception cref="Storage.InconsistentStateException">The stored record is not the one that was read.</exception>
        Task WriteStateAsync();

        /// <summary>Stores the state.</summary>
        /// <exception cref="Storage.InconsistentStateException">The stored record is not the one that was read.</exception>
        Task WriteStateAsync(CancellationToken cancellationToken);

        /// <summary>Reads the state anew, throwing away what was not stored.</summary>
        Task ReadStateAsync();

        /// <summary>Reads the state anew, throwing away what was not stored.</summary>
        Task ReadStateAsync(CancellationToken cancellationToken);
    }

    /// <summary>State of a known type.</summary>
    public interface IStorage<TState> : IStorage
    {
        /// <summary>The state in memory; what is not written is lost with the activation.</summary>
        TState State { get; set; }
    }
}

namespace Orleans.Runtime
{
    /// <summary>A named state of a grain, read before OnActivateAsync. Belongs to the grain's turns.</summary>
    public interface IPersistentState<TState> : IStorage<TState>;

    /// <summary>Which state a constructor parameter takes.</summary>
    public interface IPersistentStateConfiguration
    {
        /// <summary>The state's name within the grain.</summary>
        string StateName { get; }

        /// <summary>The storage's name; null for the default one.</summary>
        string? StorageName { get; }
    }

    /// <summary>Marks a constructor parameter of type <see cref="IPersistentState{TState}"/>.</summary>
    [AttributeUsage(AttributeTargets.Parameter)]
    public class PersistentStateAttribute(string stateName, string? storageName = null) : Attribute, IPersistentStateConfiguration
    {
        /// <inheritdoc/>
        public string StateName { get; } = stateName;

        /// <inheritdoc/>
        public string? StorageName { get; } = storageName;
    }
}

namespace Orleans
{
    /// <summary>What a storage reads into and writes from.</summary>
    public interface IGrainState<T>
    {
        /// <summary>The value.</summary>
        T? State { get; set; }

        /// <summary>The version of the stored record; null when there is none.</summary>
        string? ETag { get; set; }

        /// <summary>Whether there is a stored record.</summary>
        bool RecordExists { get; set; }
    }

    /// <summary>The plain implementation.</summary>
    [GenerateSerializer]
    public sealed class GrainState<T> : IGrainState<T>
    {
        /// <summary>Nothing stored.</summary>
        public GrainState()
        {
        }

        /// <summary>A value that is not stored yet.</summary>
        public GrainState(T? state) => State = state;

        /// <summary>A value of that version.</summary>
        public GrainState(T? state, string? eTag)
        {
            State = state;
            ETag = eTag;
        }

        /// <inheritdoc/>
        [Id(0)]
        public T? State { get; set; }

        /// <inheritdoc/>
        [Id(1)]
        public string? ETag { get; set; }

        /// <inheritdoc/>
        [Id(2)]
        public bool RecordExists { get; set; }
    }
}

namespace Orleans.Storage
{
    /// <summary>Stores the states of grains. Thread-safe; a write replaces the whole record or changes nothing.</summary>
    public interface IGrainStorage
    {
        /// <summary>Reads the record; without one, the state is a new value and the tag null.</summary>
        Task ReadStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState);

        /// <summary>Reads the record; without one, the state is a new value and the tag null.</summary>
        Task ReadStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState, CancellationToken cancellationToken) =>
            ReadStateAsync(stateName, grainId, grainState);

        /// <summary>Writes the record and sets the new tag.</summary>
        /// <exception cref="InconsistentStateException">The stored tag is not the given one.</exception>
        Task WriteStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState);

        /// <summary>Writes the record and sets the new tag.</summary>
        /// <exception cref="InconsistentStateException">The stored tag is not the given one.</exception>
        Task WriteStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState, CancellationToken cancellationToken) =>
            WriteStateAsync(stateName, grainId, grainState);

        /// <summary>Deletes the record.</summary>
        /// <exception cref="InconsistentStateException">The stored tag is not the given one.</exception>
        Task ClearStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState);

        /// <summary>Deletes the record.</summary>
        /// <exception cref="InconsistentStateException">The stored tag is not the given one.</exception>
        Task ClearStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState, CancellationToken cancellationToken) =>
            ClearStateAsync(stateName, grainId, grainState);
    }
}

namespace Orleans.Providers
{
    /// <summary>Names that everybody knows.</summary>
    public static class ProviderConstants
    {
        /// <summary>The storage of states that name none.</summary>
        public const string DEFAULT_STORAGE_PROVIDER_NAME = "Default";
    }
}
