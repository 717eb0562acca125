namespace Orleans.Runtime;

/// <summary>Takes memory along when its activation moves to another process.</summary>
/// <remarks>In one process nothing ever moves, so nobody calls it.</remarks>
public interface IGrainMigrationParticipant
{
    /// <summary>Gives what shall go along.</summary>
    void OnDehydrate(IDehydrationContext dehydrationContext);

    /// <summary>Takes it back, before OnActivateAsync.</summary>
    void OnRehydrate(IRehydrationContext rehydrationContext);
}

/// <summary>What goes along.</summary>
public interface IDehydrationContext
{
    /// <summary>Adds a value; false where it cannot be taken along.</summary>
    bool TryAddValue<T>(string key, T? value);
}

/// <summary>What came along.</summary>
public interface IRehydrationContext
{
    /// <summary>Reads a value.</summary>
    bool TryGetValue<T>(string key, out T? value);
}
