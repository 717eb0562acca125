using System.Reflection;
using Orleans.Runtime;
using Orleans.Serialization.Invocation;

namespace Orleans.Serialization.Invocation
{
    /// <summary>One call with its arguments.</summary>
    public interface IInvokable
    {
        /// <summary>How many arguments the method takes.</summary>
        int GetArgumentCount();

        /// <summary>An argument.</summary>
        object? GetArgument(int index);

        /// <summary>Replaces an argument before the method runs.</summary>
        void SetArgument(int index, object value);

        /// <summary>The method's name.</summary>
        string GetMethodName();

        /// <summary>The interface's full name.</summary>
        string GetInterfaceName();

        /// <summary>The interface.</summary>
        Type GetInterfaceType();

        /// <summary>The interface's method.</summary>
        MethodInfo GetMethod();
    }
}

namespace Orleans
{
    /// <summary>A call on its way through the filters.</summary>
    public interface IGrainCallContext
    {
        /// <summary>The call and its arguments.</summary>
        IInvokable Request { get; }

        /// <summary>The grain, or on the caller's side the reference to it.</summary>
        object Grain { get; }

        /// <summary>Who calls; null outside of grains.</summary>
        GrainId? SourceId { get; }

        /// <summary>Who is called.</summary>
        GrainId TargetId { get; }

        /// <summary>The interface's method.</summary>
        MethodInfo InterfaceMethod { get; }

        /// <summary>The interface's name.</summary>
        GrainInterfaceType InterfaceType { get; }

        /// <summary>The interface's full name.</summary>
        string InterfaceName { get; }

        /// <summary>The method's name.</summary>
        string MethodName { get; }

        /// <summary>The result once <see cref="Invoke"/> has completed; may be replaced by one of the same type.</summary>
        object? Result { get; set; }

        /// <summary>Goes on with the next filter, in the end with the call itself.</summary>
        Task Invoke();
    }

    /// <summary>A call on the callee's side.</summary>
    public interface IIncomingGrainCallContext : IGrainCallContext
    {
        /// <summary>The grain class's method.</summary>
        MethodInfo ImplementationMethod { get; }

        /// <summary>The activation that is called.</summary>
        IGrainContext TargetContext { get; }
    }

    /// <summary>A call on the caller's side.</summary>
    public interface IOutgoingGrainCallContext : IGrainCallContext
    {
        /// <summary>The activation that calls; null outside of grains.</summary>
        IGrainContext? SourceContext { get; }
    }

    /// <summary>Runs around every call on the callee's side, within its turn.</summary>
    public interface IIncomingGrainCallFilter
    {
        /// <summary>Goes on by <see cref="IGrainCallContext.Invoke"/>; what it throws, the caller gets.</summary>
        Task Invoke(IIncomingGrainCallContext context);
    }

    /// <summary>Runs around every call on the caller's side.</summary>
    public interface IOutgoingGrainCallFilter
    {
        /// <summary>Goes on by <see cref="IGrainCallContext.Invoke"/>; what it throws, the caller gets.</summary>
        Task Invoke(IOutgoingGrainCallContext context);
    }

    /// <summary>A filter as a delegate.</summary>
    public delegate Task IncomingGrainCallFilterDelegate(IIncomingGrainCallContext context);

    /// <summary>A filter as a delegate.</summary>
    public delegate Task OutgoingGrainCallFilterDelegate(IOutgoingGrainCallContext context);
}
