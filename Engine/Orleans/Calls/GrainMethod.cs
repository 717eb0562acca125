using System.Reflection;
using Orleans;
using Orleans.Concurrency;

namespace MultiCluster.Engine.Actors;

/// <summary>What the runtime knows of one method of a grain interface.</summary>
internal sealed class GrainMethod
{
    private readonly FieldInfo[] _arguments;

    public GrainMethod(Type interfaceType, MethodInfo method, FieldInfo[] arguments)
    {
        Interface = interfaceType;
        Method = method;
        _arguments = arguments;
        AlwaysInterleaves = method.IsDefined(typeof(AlwaysInterleaveAttribute));
        IsReadOnly = method.IsDefined(typeof(ReadOnlyAttribute));
        IsOneWay = method.IsDefined(typeof(OneWayAttribute)) || method.ReturnType == typeof(void);
        Timeout = method.GetCustomAttribute<ResponseTimeoutAttribute>()?.Timeout;
    }

    public Type Interface { get; }

    public MethodInfo Method { get; }

    public bool AlwaysInterleaves { get; }

    public bool IsReadOnly { get; }

    public bool IsOneWay { get; }

    /// <summary>How long callers wait; null for the configured time.</summary>
    public TimeSpan? Timeout { get; }

    public int ArgumentCount => _arguments.Length;

    public object? GetArgument(object call, int index) => _arguments[index].GetValue(call);

    public void SetArgument(object call, int index, object? value) => _arguments[index].SetValue(call, value);

    public override string ToString() => $"{Interface.Name}.{Method.Name}";
}
